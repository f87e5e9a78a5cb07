/**
 * The hosts of the database. `DATABASE_URL` may name several in libpq's form, `postgres://user@one:5432,two:5432/name`. One is the
 * primary, after a failover another.
 */
export class Hosts {
  readonly #urls: readonly string[];
  #at = 0;

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

  /** Moves to the next host, unless another caller has done so. */
  leave(url: string): void {
    if (url === this.current) this.#at = (this.#at + 1) % this.count;
  }
}

export function urlsOf(url: string): readonly string[] {
  const [, before = "", hosts = "", after = ""] = /^(\w+:\/\/(?:[^@/?#]*@)?)([^/?#]*)(.*)$/s.exec(url) ?? [];
  return hosts.split(",").map((host) => before + host + after);
}
