import { type Client, type Interceptor, createClient } from "@connectrpc/connect";
import { Http2SessionManager, createGrpcTransport } from "@connectrpc/connect-node";
import { SessionService } from "../../../../gen/session/v1/session_service_pb.ts";
import type { TlsClientOptions } from "../../tls.ts";
import type { VerifierClock } from "./clock.ts";

/** A connection of one's own. */
export interface Connection {
  readonly baseUrl: string;
  readonly sessions: Client<typeof SessionService>;
  /** Ends it with everything that runs on it. */
  close(): void;
}

/** How long calls on a connection may go on when the address has changed, in milliseconds. */
const retirement = 10_000;

/** Who calls. */
export interface Credential {
  readonly projectId: string;
  /** None where the client certificate says who calls. */
  readonly secret?: string;
}

/** What connections are made with. */
export interface ConnectionsOptions {
  readonly baseUrls: readonly [string, ...string[]];
  readonly tls: TlsClientOptions | undefined;
  readonly credential: Credential;
  readonly clock: VerifierClock;
}

/** Connections to the service at one of several addresses, all of which serve the same. */
export class Connections {
  readonly #baseUrls: readonly [string, ...string[]];
  readonly #authorize: Interceptor;
  readonly #tls: TlsClientOptions | undefined;
  readonly #clock: VerifierClock;
  readonly #open = new Set<Connection>();
  readonly #retiring = new Set<() => void>();
  #current = 0;
  #shared: Connection | undefined;

  constructor({ baseUrls, tls, credential, clock }: ConnectionsOptions) {
    this.#baseUrls = baseUrls;
    this.#tls = tls;
    this.#authorize = authorizing(credential);
    this.#clock = clock;
  }

  /** The address in use. */
  get baseUrl(): string {
    return this.#baseUrls[this.#current % this.#baseUrls.length] ?? this.#baseUrls[0];
  }

  /** The address in use does not serve: take the next. */
  rotate(): void {
    this.#current++;
  }

  /** A new connection to the address in use: what ails another one, such as a frozen peer, does not ail this one. */
  open(): Connection {
    const { baseUrl } = this;
    const sessionManager = new Http2SessionManager(baseUrl, {}, this.#tls);
    const transport = createGrpcTransport({ baseUrl, sessionManager, interceptors: [this.#authorize] });
    const connection = {
      baseUrl,
      sessions: createClient(SessionService, transport),
      close: () => {
        this.#open.delete(connection);
        sessionManager.abort();
      },
    };
    this.#open.add(connection);
    return connection;
  }

  /** The connection that single calls share. */
  shared(): Connection {
    if (this.#shared?.baseUrl !== this.baseUrl) this.replaceShared(this.#shared, retirement);
    return (this.#shared ??= this.open());
  }

  /** `ailing` did not answer: later calls get a new connection; those that run on it have `grace` milliseconds. */
  replaceShared(ailing: Connection | undefined, grace: number): void {
    if (ailing === undefined || this.#shared !== ailing) return;
    this.#shared = undefined;
    const cancel = this.#clock.after(grace, () => {
      this.#retiring.delete(cancel);
      ailing.close();
    });
    this.#retiring.add(cancel);
  }

  close(): void {
    for (const cancel of this.#retiring) cancel();
    for (const connection of this.#open) connection.close();
  }
}

function authorizing({ projectId, secret }: Credential): Interceptor {
  if (secret === undefined) return (next) => next;
  const basic = `Basic ${Buffer.from(`${projectId}:${secret}`).toString("base64")}`;
  return (next) => (request) => {
    request.header.set("authorization", basic);
    return next(request);
  };
}
