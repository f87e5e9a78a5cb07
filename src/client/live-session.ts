import type { ClientHttp2Stream, Http2Session } from "node:http2";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import type { Http2SessionManager } from "@connectrpc/connect-node";
import { errorInfoOf } from "./error-info.ts";
import { Liveness } from "./liveness.ts";

/** Shortest silence after which a missed deadline makes later calls use a new connection: longer than most TLS handshakes take. */
const minSilenceMs = 750;

type RequestArguments = Parameters<Http2SessionManager["request"]>;

/**
 * The HTTP/2 connection that calls share, as the transport's session manager. Firewalls and load balancers may forget a
 * connection without closing it. Pings find this while calls wait, and before a call on a connection that was idle. If a call misses
 * its deadline without any sign of life on the connection, later calls use a new one at once; the old one stays for calls that still
 * wait. The pings of Http2SessionManager are not used: they end the process with an uncaught error if a call is repeated at once,
 * and the end of another call can stop them for good (connect-node 2.1).
 */
export class LiveSession {
  readonly authority: string;
  readonly #open: () => Http2SessionManager;
  #manager: Http2SessionManager;
  readonly #retired = new Set<Http2SessionManager>();
  readonly #livenesses = new WeakMap<Http2Session, Liveness>();
  /** Of the session that the last call uses. */
  #latest: Liveness | undefined;
  /** Number of calls that wait for the first data of an answer. */
  #waiting = 0;
  /** Since when calls have waited without any data on the current connection, by performance.now(). */
  #silentSince: number | undefined;

  constructor(open: () => Http2SessionManager) {
    this.#open = open;
    this.#manager = this.#open();
    this.authority = this.#manager.authority;
  }

  /** See NodeHttp2ClientSessionManager. */
  async request(...call: RequestArguments): Promise<ClientHttp2Stream> {
    this.#waiting++;
    this.#silentSince ??= performance.now();
    let isWaiting = true;
    const end = () => {
      if (isWaiting) this.#waiting--;
      isWaiting = false;
    };
    try {
      await this.#latest?.check();
      const stream = await this.#manager.request(...call);
      this.#latest = this.#watch(stream);
      stream.once("response", () => {
        end();
        this.#heard(stream);
      });
      stream.once("close", end);
      return stream;
    } catch (error) {
      end();
      throw error;
    }
  }

  /** See NodeHttp2ClientSessionManager. */
  notifyResponseByteRead(stream: ClientHttp2Stream): void {
    this.#heard(stream);
  }

  /** Makes later calls use a new connection if a call missed its deadline on one that has given no sign of life. */
  readonly renewal: Interceptor = (next) => async (request) => {
    try {
      return await next(request);
    } catch (error) {
      const isOwn = errorInfoOf(error) === undefined;
      if (isOwn && ConnectError.from(error).code === Code.DeadlineExceeded) this.#renew();
      throw error;
    }
  };

  /** Ends all connections and the calls on them. */
  close(): void {
    for (const manager of [this.#manager, ...this.#retired]) manager.abort();
    this.#retired.clear();
  }

  #watch(stream: ClientHttp2Stream): Liveness | undefined {
    const { session } = stream;
    if (session === undefined) return undefined;
    const liveness = this.#livenesses.get(session) ?? new Liveness(session, destroyDead);
    this.#livenesses.set(session, liveness);
    liveness.watch(stream);
    return liveness;
  }

  #heard({ session }: ClientHttp2Stream): void {
    const liveness = session && this.#livenesses.get(session);
    liveness?.heard();
    if (liveness === this.#latest) this.#silentSince = this.#waiting > 0 ? performance.now() : undefined;
  }

  #renew(): void {
    if (this.#silentSince === undefined || performance.now() - this.#silentSince < minSilenceMs) return;
    for (const manager of this.#retired) {
      if (manager.state() === "open") continue;
      manager.abort(lost());
      this.#retired.delete(manager);
    }
    this.#retired.add(this.#manager);
    this.#manager = this.#open();
    this.#latest = undefined;
    this.#silentSince = undefined;
  }
}

function lost(): ConnectError {
  return new ConnectError("the connection was lost: the peer answers no ping", Code.Unavailable);
}

function destroyDead(session: Http2Session): void {
  session.destroy(lost());
}
