/**
 * Where the database may be. `DATABASE_URL` names several hosts as libpq has it, `postgres://user@one:5432,two:5432/name`; the
 * primary is at one of them, and after a failover at another.
 */
export class Hosts {
  readonly #urls: readonly string[];
  #at = 0;

  constructor(url: string) {
    this.#urls = urlsOf(url);
  }

  /** How many there are. */
  get count(): number {
    return this.#urls.length;
  }

  /** The address, with one host, at which the primary was last, or is looked for next. */
  get current(): string {
    return this.#urls[this.#at] ?? "";
  }

  /** It is not there: the next is tried. Nothing happens where that has been found out already. */
  leave(url: string): void {
    if (url === this.current) this.#at = (this.#at + 1) % this.count;
  }
}

/** The same address with each of its hosts alone. */
export function urlsOf(url: string): readonly string[] {
  const [, before = "", hosts = "", after = ""] = /^(\w+:\/\/(?:[^@/?#]*@)?)([^/?#]*)(.*)$/s.exec(url) ?? [];
  return hosts.split(",").map((host) => before + host + after);
}
