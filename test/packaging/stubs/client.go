// A client made of stubs by plain protoc. Calls a service and prints what it saw as JSON, like client.py.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	sessionv1 "sessiond/session/v1"
)

var (
	project = os.Getenv("SESSIOND_PROJECT")
	secret  = os.Getenv("SESSIOND_SECRET")
)

const member = "go"

// basic returns the context of a call by a service.
func basic(ctx context.Context, secret string) context.Context {
	credential := base64.StdEncoding.EncodeToString([]byte(project + ":" + secret))
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Basic "+credential)
}

// bearer returns the context of a call by an end user.
func bearer(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

type failure struct {
	Code   string `json:"code"`
	Reason string `json:"reason"`
	Plain  string `json:"plain"`
}

// names has the codes that the other clients print.
var names = map[codes.Code]string{codes.Unauthenticated: "UNAUTHENTICATED"}

// failureOf returns the code of a failed call, and its reason from the details and in plain text.
func failureOf(err error, trailers metadata.MD) failure {
	failed := status.Convert(err)
	for _, detail := range failed.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			plain := strings.Join(trailers.Get("sessiond-error-reason"), ",")
			return failure{names[failed.Code()], info.Reason, plain}
		}
	}
	log.Fatalf("the call did not fail with ErrorInfo: %v", err)
	return failure{}
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func watch(ctx context.Context, sessions sessionv1.SessionServiceClient, request *sessionv1.WatchRevocationsRequest) sessionv1.SessionService_WatchRevocationsClient {
	request.Heartbeat = durationpb.New(100 * time.Millisecond)
	return must(sessions.WatchRevocations(ctx, request))
}

// untilRevocation reads up to the first message with revocations.
func untilRevocation(stream sessionv1.SessionService_WatchRevocationsClient) *sessionv1.WatchRevocationsResponse {
	for {
		if message := must(stream.Recv()); len(message.Revocations) > 0 {
			return message
		}
	}
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	connection := must(grpc.Dial(os.Getenv("SESSIOND_ADDRESS"), grpc.WithInsecure()))
	defer connection.Close()
	sessions := sessionv1.NewSessionServiceClient(connection)
	service := basic(ctx, secret)
	seen := map[string]any{}

	created := must(sessions.Create(service, &sessionv1.CreateRequest{MemberId: member}))
	authenticate := &sessionv1.AuthenticateRequest{
		Credential: &sessionv1.AuthenticateRequest_Token{Token: created.Token},
	}
	seen["state"] = must(sessions.Authenticate(service, authenticate)).Session.State.String()
	listed := []bool{}
	for _, each := range must(sessions.List(service, &sessionv1.ListRequest{MemberId: member})).Sessions {
		listed = append(listed, each.Id == created.Session.Id)
	}
	seen["listed"] = listed

	// Without a start, a stream begins with a heartbeat, which says where the log stands.
	watching, stop := context.WithCancel(service)
	stream := watch(watching, sessions, &sessionv1.WatchRevocationsRequest{})
	first := must(stream.Recv())
	seen["first"] = len(first.Revocations)

	revoked := must(sessions.Revoke(service, &sessionv1.RevokeRequest{
		Target: &sessionv1.RevokeRequest_Token{Token: created.Token},
		Cause:  sessionv1.RevocationCause_REVOCATION_CAUSE_LOGOUT,
	}))
	seen["revoked"] = revoked.GetRevokedCount()
	told := untilRevocation(stream)
	watched := []bool{}
	for _, each := range told.Revocations {
		watched = append(watched, each.TargetId == created.Session.Id)
	}
	seen["watched"] = watched
	heartbeat := must(stream.Recv())
	seen["heartbeat"] = map[string]any{
		"revocations":   len(heartbeat.Revocations),
		"same_position": heartbeat.Position == told.Position,
		"not_earlier":   heartbeat.ReadOffset.AsDuration() >= told.ReadOffset.AsDuration(),
	}
	stop()

	// A position resumes the log after itself.
	resumed := watch(service, sessions, &sessionv1.WatchRevocationsRequest{
		Start: &sessionv1.WatchRevocationsRequest_After{After: first.Position},
	})
	again := []bool{}
	for _, each := range untilRevocation(resumed).Revocations {
		again = append(again, each.Revision == revoked.Revision)
	}
	seen["resumed"] = again

	trailers := metadata.MD{}
	_, err := sessions.Authenticate(service, authenticate, grpc.Trailer(&trailers))
	seen["refused"] = failureOf(err, trailers)
	_, err = sessions.Authenticate(basic(ctx, "rotated"), authenticate, grpc.Trailer(&trailers))
	seen["own_credential"] = failureOf(err, trailers)

	token := must(sessions.Create(service, &sessionv1.CreateRequest{MemberId: member})).Token
	ended := must(sessions.RevokeAll(bearer(ctx, token), &sessionv1.RevokeAllRequest{
		Scope:        &sessionv1.RevokeAllRequest_Self_{Self: &sessionv1.RevokeAllRequest_Self{}},
		CountRevoked: true,
	}))
	seen["own"] = ended.GetRevokedCount()

	fmt.Println(string(must(json.Marshal(seen))))
}
