import type { ConnectionOptions as TlsConnectionOptions } from "node:tls";
import { type Client, type Interceptor, type Transport, createClient } from "@connectrpc/connect";
import { Http2SessionManager, createGrpcTransport } from "@connectrpc/connect-node";
import { SessionService } from "../../gen/session/v1/session_service_pb.ts";
import { LiveSession } from "./live-session.ts";

/**
 * TLS at an `https` address, as Node's `tls.connect` takes it. `ca` replaces the well-known authorities. `cert` and `key` are a
 * client certificate, which can replace the secret. They are read for each connection, so that getters can return new files.
 */
export type TlsClientOptions = Pick<TlsConnectionOptions, "ca" | "cert" | "key" | "servername">;

/** A service credential. */
export interface Credential {
  readonly projectId: string;
  /** Not needed if a client certificate authenticates the service. */
  readonly secret?: string | undefined;
}

export interface ConnectOptions {
  /** Such as `https://sessiond.example`, or `http://127.0.0.1:8080`. */
  readonly baseUrl: string;
  /** Authenticates the calling service. Without it, and without a client certificate, every call needs an `authorization` header. */
  readonly credential?: Credential | undefined;
  readonly tls?: TlsClientOptions | undefined;
  /**
   * For whom the service acts, as text, in calls without headers `authorization` and `acting-user` of their own. A service that
   * acts for several people states it with each call: `{ headers: { "acting-user": encodeURIComponent(name) } }`.
   */
  readonly actingUser?: string | undefined;
}

export interface CallOptions {
  /** Deadline of calls that set none; by default they have none. */
  readonly defaultTimeoutMs?: number;
  readonly interceptors?: readonly Interceptor[];
}

/** One HTTP/2 connection, opened on the first call and replaced if it is found dead. */
export interface Connection {
  readonly baseUrl: string;
  readonly transport: Transport;
  readonly sessions: Client<typeof SessionService>;
  /** Ends the connection and all calls on it. */
  close(): void;
}

export function connect(
  { baseUrl, credential, tls, actingUser }: ConnectOptions,
  { defaultTimeoutMs, interceptors = [] }: CallOptions = {},
): Connection {
  const sessionManager = new LiveSession(() => new Http2SessionManager(baseUrl, undefined, tls));
  const transport = createGrpcTransport({
    baseUrl,
    sessionManager,
    interceptors: [sessionManager.renewal, ...interceptors, defaultHeaders(credential, actingUser)],
    ...(defaultTimeoutMs !== undefined && { defaultTimeoutMs }),
  });
  return {
    baseUrl,
    transport,
    sessions: createClient(SessionService, transport),
    close: () => sessionManager.close(),
  };
}

/** Adds the credential and the acting user to calls that have no `authorization` of their own. */
function defaultHeaders(credential: Credential | undefined, actingUser: string | undefined): Interceptor {
  const headers = new Map<string, string>();
  if (credential?.secret !== undefined) headers.set("authorization", basicAuthorization(credential));
  if (actingUser !== undefined) headers.set("acting-user", encodeURIComponent(actingUser));
  return (next) => (request) => {
    const { header } = request;
    if (header.has("authorization")) return next(request);
    for (const [name, value] of headers) if (!header.has(name)) header.set(name, value);
    return next(request);
  };
}

function basicAuthorization({ projectId, secret }: Credential): string {
  return `Basic ${Buffer.from(`${projectId}:${secret}`).toString("base64")}`;
}
