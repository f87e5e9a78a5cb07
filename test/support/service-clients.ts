import type { DescService } from "@bufbuild/protobuf";
import { type Client, type Interceptor, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ProjectService } from "../../gen/session/v1/project_service_pb.ts";
import { SessionService } from "../../gen/session/v1/session_service_pb.ts";
import type { RunningService } from "./running-service.ts";

/** A gRPC client for what tests need beside the client that they are about. The caller is the bootstrap service, or as told. */
export function sessionsOf(
  service: Pick<RunningService, "url" | "basic">,
  authorization = service.basic,
): Client<typeof SessionService> {
  return clientOf(SessionService, service, authorization);
}

/** The same for ProjectService. */
export function projectsOf(service: Pick<RunningService, "url" | "basic">): Client<typeof ProjectService> {
  return clientOf(ProjectService, service, service.basic);
}

/** Sets headers on every request of a Connect client. */
export function sending(headers: Readonly<Record<string, string>>): Interceptor {
  return (next) => (request) => {
    for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
    return next(request);
  };
}

function clientOf<S extends DescService>(desc: S, { url }: { readonly url: string }, authorization: string) {
  return createClient(
    desc,
    createGrpcTransport({ baseUrl: url, interceptors: [sending({ authorization })] }),
  );
}

/** Call options with a deadline that only the service knows: the client itself would wait for ever. */
export function inTime(milliseconds: number): { readonly headers: Readonly<Record<string, string>> } {
  return { headers: { "grpc-timeout": `${milliseconds}m` } };
}
