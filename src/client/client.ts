import { type Client, type Interceptor, createClient } from "@connectrpc/connect";
import { Http2SessionManager, createGrpcTransport } from "@connectrpc/connect-node";
import { ProjectService } from "../../gen/session/v1/project_service_pb.ts";
import { SessionService } from "../../gen/session/v1/session_service_pb.ts";
import { requireNode } from "../transport/node-version.ts";
import type { TlsClientOptions } from "./tls.ts";

requireNode();

export type { TlsClientOptions } from "./tls.ts";

/** Where the service is and who calls it. */
export interface SessiondOptions {
  /** Such as `https://sessiond.example`, or `http://127.0.0.1:8080`. */
  readonly baseUrl: string;
  /**
   * The calling service's project and secret; without them, and without a client certificate in `tls`, every call needs its own
   * `authorization` header.
   */
  readonly credential?: { readonly projectId: string; readonly secret: string };
  /** Whom to trust at an `https` address, and the client certificate. */
  readonly tls?: TlsClientOptions;
  /** Deadline of calls that set none, in milliseconds; 10,000 by default. A stream sets its own: `timeoutMs: 0` for none. */
  readonly defaultTimeoutMs?: number;
}

/** Typed clients of both services. Calls fail with ConnectError, whose details hold google.rpc.ErrorInfo. */
export interface Sessiond {
  readonly sessions: Client<typeof SessionService>;
  readonly projects: Client<typeof ProjectService>;
  /** Ends the connection, with the calls that run on it: for programs that are to end by themselves. */
  close(): void;
}

/**
 * Connects to sessiond over gRPC; one HTTP/2 connection, opened on the first call and shared by all.
 *
 * ```ts
 * const { sessions } = connectSessiond({ baseUrl: "http://127.0.0.1:8080", credential: { projectId, secret } });
 * const { token } = await sessions.create({ memberId: "alice" });
 * await sessions.revoke({ target: { case: "token", value: token } });
 * ```
 */
export function connectSessiond({
  baseUrl,
  credential,
  tls,
  defaultTimeoutMs = 10_000,
}: SessiondOptions): Sessiond {
  const interceptors = credential === undefined ? [] : [authorizing(credential)];
  const sessionManager = new Http2SessionManager(baseUrl, undefined, tls);
  const transport = createGrpcTransport({ baseUrl, sessionManager, interceptors, defaultTimeoutMs });
  return {
    sessions: createClient(SessionService, transport),
    projects: createClient(ProjectService, transport),
    close: () => sessionManager.abort(),
  };
}

/** Adds the credential to calls that carry none of their own. */
function authorizing({ projectId, secret }: NonNullable<SessiondOptions["credential"]>): Interceptor {
  const basic = `Basic ${btoa(String.fromCharCode(...new TextEncoder().encode(`${projectId}:${secret}`)))}`;
  return (next) => (request) => {
    if (!request.header.has("authorization")) request.header.set("authorization", basic);
    return next(request);
  };
}
