/**
 * The hosts of the database, shared by the pools of a process. `DATABASE_URL` may name several in libpq's form,
 * `postgres://user@one:5432,two:5432/name`. One is the primary, after a failover another.
 *
 * Connections belong to a generation, which ends when one of them finds its host dead or the primary elsewhere. Pools discard
 * connections of earlier generations, so that only one call has to find out.
 */
export class Hosts {
  readonly #urls: readonly string[];
  #at = 0;
  #generation = 0;
  /** The host of this generation's connections; undefined before the first. */
  #connected: string | undefined;
  /** Connections that are being opened or used. */
  readonly #busy = new Set<BusyConnection>();
  /** False once the path to the database has lost a prepared statement, as some poolers do. */
  keepPreparedStatements = true;

  constructor(url: string) {
    this.#urls = urlsOf(url);
  }

  get count(): number {
    return this.#urls.length;
  }

  /** The address, with one host, where the primary was last, or is tried next. */
  get current(): string {
    return this.#urls[this.#at] ?? "";
  }

  get all(): readonly string[] {
    return this.#urls;
  }

  get generation(): number {
    return this.#generation;
  }

  /** Moves to the next host, unless another caller has done so. */
  leave(url: string): void {
    if (url === this.current) this.#at = (this.#at + 1) % this.count;
  }

  /** Ends the given generation, unless it has ended. */
  invalidate(generation = this.#generation): void {
    if (generation === this.#generation) this.#generation++;
  }

  /**
   * Records that a connection of `generation` found a primary at `url`. If that is another host than before, a new generation
   * starts. Returns the generation of the connection.
   */
  connected(url: string, generation: number): number {
    if (generation !== this.#generation || url === this.#connected) return generation;
    if (this.#connected !== undefined) this.#generation++;
    this.#connected = url;
    return this.#generation;
  }

  /**
   * Starts a new generation at `url`, which is one of {@link all}. What waits for other servers fails at once: a commit there may
   * wait for a standby that is gone.
   */
  moveTo(url: string): void {
    const at = this.#urls.indexOf(url);
    if (at === -1) throw new Error("not one of the database's hosts");
    this.#at = at;
    this.#connected = url;
    this.#generation++;
    for (const connection of this.#busy) connection.abandon();
  }

  /** Keeps a connection from waiting for a server that another one replaces. */
  began(connection: BusyConnection): void {
    this.#busy.add(connection);
  }

  /** Ends {@link began}. */
  ended(connection: BusyConnection): void {
    this.#busy.delete(connection);
  }
}

interface BusyConnection {
  /** Closes it. What waits for it fails. */
  abandon(): void;
}

export function urlsOf(url: string): readonly string[] {
  const [, before = "", hosts = "", after = ""] = /^(\w+:\/\/(?:[^@/?#]*@)?)([^/?#]*)(.*)$/s.exec(url) ?? [];
  return hosts.split(",").map((host) => before + host + after);
}

/** The hosts and ports of a URL as text, without its user and password. */
export function hostsIn(url: string): string {
  const hosts = urlsOf(url).map((one) => URL.parse(one)?.host ?? "");
  return hosts.every((host) => host !== "") ? hosts.join(", ") : "the address of its URL";
}
