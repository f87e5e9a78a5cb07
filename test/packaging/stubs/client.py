"""A client made of stubs by plain protoc. Calls a service and prints what it saw as JSON, like client.go."""

import base64
import json
import os

import grpc
from google.rpc import error_details_pb2, status_pb2
from session.v1 import revocation_pb2, session_pb2
from session.v1 import session_service_pb2 as v1
from session.v1 import session_service_pb2_grpc as stubs

ADDRESS = os.environ["SESSIOND_ADDRESS"]
PROJECT = os.environ["SESSIOND_PROJECT"]
SECRET = os.environ["SESSIOND_SECRET"]
MEMBER = "python"
TIMEOUT = 10


def basic(secret):
    credential = base64.b64encode(f"{PROJECT}:{secret}".encode()).decode()
    return [("authorization", f"Basic {credential}")]


def bearer(token):
    return [("authorization", f"Bearer {token}")]


def failure(call, request, metadata):
    """Makes a call that must fail. Returns its code, and its reason from the details and in plain text."""
    try:
        call(request, metadata=metadata, timeout=TIMEOUT)
    except grpc.RpcError as error:
        trailers = dict(error.trailing_metadata())
        status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
        info = error_details_pb2.ErrorInfo()
        for detail in status.details:
            if detail.Unpack(info):
                plain = trailers["sessiond-error-reason"]
                return {"code": error.code().name, "reason": info.reason, "plain": plain}
    raise AssertionError("the call did not fail with ErrorInfo")


def watch(sessions, request):
    request.heartbeat.FromMilliseconds(100)
    return sessions.WatchRevocations(request, metadata=basic(SECRET), timeout=TIMEOUT)


def until_revocation(stream):
    """Reads up to the first message with revocations."""
    for message in stream:
        if message.revocations:
            return message
    raise AssertionError("the stream ended")


def main():
    channel = grpc.insecure_channel(ADDRESS)
    sessions = stubs.SessionServiceStub(channel)
    service = {"metadata": basic(SECRET), "timeout": TIMEOUT}
    seen = {}

    created = sessions.Create(v1.CreateRequest(member_id=MEMBER), **service)
    authenticate = v1.AuthenticateRequest(token=created.token)
    session = sessions.Authenticate(authenticate, **service).session
    seen["state"] = session_pb2.SessionState.Name(session.state)
    listed = sessions.List(v1.ListRequest(member_id=MEMBER), **service)
    seen["listed"] = [each.id == created.session.id for each in listed.sessions]

    # Without a start, a stream begins with a heartbeat, which says where the log stands.
    stream = watch(sessions, v1.WatchRevocationsRequest())
    first = next(stream)
    seen["first"] = len(first.revocations)

    revoked = sessions.Revoke(
        v1.RevokeRequest(token=created.token, cause=revocation_pb2.REVOCATION_CAUSE_LOGOUT), **service
    )
    seen["revoked"] = revoked.revoked_count
    told = until_revocation(stream)
    seen["watched"] = [each.target_id == created.session.id for each in told.revocations]
    heartbeat = next(stream)
    seen["heartbeat"] = {
        "revocations": len(heartbeat.revocations),
        "same_position": heartbeat.position == told.position,
        "not_earlier": heartbeat.read_offset.ToMicroseconds() >= told.read_offset.ToMicroseconds(),
    }
    stream.cancel()

    # A position resumes the log after itself.
    resumed = watch(sessions, v1.WatchRevocationsRequest(after=first.position))
    again = until_revocation(resumed)
    seen["resumed"] = [each.revision == revoked.revision for each in again.revocations]
    resumed.cancel()

    seen["refused"] = failure(sessions.Authenticate, authenticate, basic(SECRET))
    seen["own_credential"] = failure(sessions.Authenticate, authenticate, basic("rotated"))

    # `self` cannot be an argument of the constructor.
    request = v1.RevokeAllRequest(count_revoked=True)
    request.self.SetInParent()
    token = sessions.Create(v1.CreateRequest(member_id=MEMBER), **service).token
    seen["own"] = sessions.RevokeAll(request, metadata=bearer(token), timeout=TIMEOUT).revoked_count

    print(json.dumps(seen))


main()
