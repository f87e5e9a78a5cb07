import type { ConnectionOptions as TlsConnectionOptions } from "node:tls";
import { type Client, type Interceptor, type Transport, createClient } from "@connectrpc/connect";
import { Http2SessionManager, createGrpcTransport } from "@connectrpc/connect-node";
import { SessionService } from "../../gen/session/v1/session_service_pb.ts";

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
}

export interface CallOptions {
  /** Deadline of calls that set none; by default they have none. */
  readonly defaultTimeoutMs?: number;
  readonly interceptors?: readonly Interceptor[];
}

/** One HTTP/2 connection, opened on the first call. */
export interface Connection {
  readonly baseUrl: string;
  readonly transport: Transport;
  readonly sessions: Client<typeof SessionService>;
  /** Ends the connection and all calls on it. */
  close(): void;
}

export function connect(
  { baseUrl, credential, tls }: ConnectOptions,
  { defaultTimeoutMs, interceptors = [] }: CallOptions = {},
): Connection {
  const sessionManager = new Http2SessionManager(baseUrl, undefined, tls);
  const transport = createGrpcTransport({
    baseUrl,
    sessionManager,
    interceptors: [
      ...interceptors,
      ...(credential?.secret === undefined ? [] : [basicCredentials(credential)]),
    ],
    ...(defaultTimeoutMs !== undefined && { defaultTimeoutMs }),
  });
  return {
    baseUrl,
    transport,
    sessions: createClient(SessionService, transport),
    close: () => sessionManager.abort(),
  };
}

/** Adds the credential to calls that have no `authorization` of their own. */
function basicCredentials({ projectId, secret }: Credential): Interceptor {
  const basic = `Basic ${Buffer.from(`${projectId}:${secret}`).toString("base64")}`;
  return (next) => (request) => {
    if (!request.header.has("authorization")) request.header.set("authorization", basic);
    return next(request);
  };
}
