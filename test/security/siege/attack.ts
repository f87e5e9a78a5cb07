import type { Attacker, Prey } from "./attacker.ts";

/** Something that a hostile client does. */
export interface Attack {
  readonly name: string;
  /** Connections, or whatever there is many of, in the long siege. */
  readonly size: number;
  /** The limit that ends it, where that takes its time: only the long siege waits for it. */
  readonly patience?: "headers" | "request" | "unread";
  /** Resolves with the connections when it has done its worst. */
  readonly run: (prey: Prey, size: number) => Promise<readonly Attacker[]>;
}

/** Resolves when all connections are cut; for those that are cut at once, or not at all. */
export async function waitForCut(attackers: readonly Attacker[]): Promise<void> {
  // Who reads nothing is told of the end only when there is nothing to read.
  for (const { socket } of attackers) socket.resume();
  await Promise.all(attackers.map(({ cut }) => cut));
}
