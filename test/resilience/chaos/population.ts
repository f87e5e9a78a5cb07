export interface KnownSession {
  readonly id: string;
  readonly member: string;
  readonly organization: string;
  readonly token: string;
  readonly jwt: string;
}

/** Number of sessions to choose from. Older ones are forgotten. */
const capacity = { alive: 1500, ended: 300 };

/** The sessions that operations choose from: mostly alive, some ended recently. */
export class Population {
  readonly #alive: KnownSession[] = [];
  readonly #ended: KnownSession[] = [];
  readonly #members: number;
  readonly #organizations: number;

  constructor(members: number, organizations: number) {
    this.#members = members;
    this.#organizations = organizations;
  }

  member(): { readonly member: string; readonly organization: string } {
    const number = below(this.#members);
    return { member: `m${number}`, organization: `o${number % this.#organizations}` };
  }

  organization(): string {
    return `o${below(this.#organizations)}`;
  }

  add(session: KnownSession): void {
    if (this.#alive.length < capacity.alive) this.#alive.push(session);
    else this.#alive[below(capacity.alive)] = session;
  }

  ended(session: KnownSession): void {
    const place = this.#alive.indexOf(session);
    if (place < 0) return;
    const last = this.#alive.pop();
    if (last !== undefined && last !== session) this.#alive[place] = last;
    if (this.#ended.length < capacity.ended) this.#ended.push(session);
    else this.#ended[below(capacity.ended)] = session;
  }

  /** A random session; one in ten has ended. */
  any(): KnownSession | undefined {
    const from = chance(0.1) ? this.#ended : this.#alive;
    return from[below(from.length)];
  }

  alive(): KnownSession | undefined {
    return this.#alive[below(this.#alive.length)];
  }
}

export function chance(probability: number): boolean {
  return Math.random() < probability;
}

/** A whole number from 0 to below `bound`. */
export function below(bound: number): number {
  return Math.floor(Math.random() * bound);
}
