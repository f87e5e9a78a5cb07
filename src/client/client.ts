import { type Client, createClient } from "@connectrpc/connect";
import { ProjectService } from "../../gen/session/v1/project_service_pb.ts";
import type { SessionService } from "../../gen/session/v1/session_service_pb.ts";
import { requireNode } from "../transport/node-version.ts";
import { ownCredentialErrors } from "./own-credential.ts";
import { type ConnectOptions, connect } from "./transport.ts";

requireNode();

export type { Credential, TlsClientOptions } from "./transport.ts";

export interface SessiondOptions extends ConnectOptions {
  /** Deadline of calls that set none, in milliseconds; 10,000 by default. Streams need `timeoutMs: 0`, which means no deadline. */
  readonly defaultTimeoutMs?: number;
}

/**
 * Typed clients of both services. Calls fail with a ConnectError whose details hold google.rpc.ErrorInfo; see errorInfoOf.
 * UNAUTHENTICATED always concerns the session token or JWT of an end user. If the server refuses the credential of this
 * service, calls fail with INTERNAL and the reason CREDENTIAL_INVALID or CREDENTIAL_MISSING.
 */
export interface Sessiond {
  readonly sessions: Client<typeof SessionService>;
  readonly projects: Client<typeof ProjectService>;
  /** Ends the connection and all calls on it. A program that does not call it stays alive for as long as the connection. */
  close(): void;
}

/**
 * Connects to sessiond over gRPC. All calls share one HTTP/2 connection, which the first call opens. If it is lost without a close,
 * for example because a firewall forgot it, calls that wait on it fail with UNAVAILABLE within 8 s, or by their deadline, and
 * later calls use a new connection.
 *
 * ```ts
 * const { sessions } = connectSessiond({ baseUrl: "http://127.0.0.1:8080", credential: { projectId, secret } });
 * const { token } = await sessions.create({ memberId: "alice" });
 * await sessions.revoke({ target: { case: "token", value: token } });
 * ```
 */
export function connectSessiond(options: SessiondOptions): Sessiond {
  const connection = connect(options, {
    defaultTimeoutMs: options.defaultTimeoutMs ?? 10_000,
    interceptors: [ownCredentialErrors],
  });
  return {
    sessions: connection.sessions,
    projects: createClient(ProjectService, connection.transport),
    close: () => connection.close(),
  };
}
