import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { type Child, startChild } from "../../../support/process/child.ts";
import type { KnownSession } from "../population.ts";
import type {
  VerifierAnswer,
  VerifierEvent,
  VerifierMessage,
  VerifierStart,
  VerifierVerdict,
} from "./verifier-messages.ts";

/** A verdict on a session's JWT. */
export interface VerifierLook extends VerifierVerdict {
  readonly session: string;
}

/** A verifier in a process of its own. */
export class VerifierProcess {
  readonly maxStaleness: number;
  readonly looks: VerifierLook[] = [];
  /** When each revision was heeded, the first time. */
  readonly heard = new Map<number, number>();
  /** Revisions whose session's JWT was verified, and refused, at that moment. */
  readonly refused = new Set<number>();
  readonly events: Partial<Record<VerifierEvent, number>> = {};
  readonly #child: Child;
  readonly #asked = new Map<number, string>();
  #next = 0;
  #expectEnd = false;
  readonly surprises: string[] = [];

  private constructor(child: Child, maxStaleness: number) {
    this.maxStaleness = maxStaleness;
    this.#child = child;
    child.process.on("message", (answer: VerifierAnswer) => this.#take(answer));
    void child.ended.then(() => {
      if (!this.#expectEnd) this.surprises.push(child.errorLines.slice(-5).join("\n"));
    });
  }

  /** Resolves when the verifier holds its first snapshot. */
  static async start(options: VerifierStart & { readonly maxStaleness: number }): Promise<VerifierProcess> {
    const child = startChild(
      "test/resilience/chaos/processes/verifier-process.ts",
      [JSON.stringify(options)],
      {},
    );
    const verifier = new VerifierProcess(child, options.maxStaleness);
    while (verifier.events.ready === undefined) {
      const over = await Promise.race([once(child.process, "message"), child.ended.then(() => undefined)]);
      if (over === undefined) throw new Error(`a verifier ended: ${child.errorLines.slice(-5).join("\n")}`);
    }
    return verifier;
  }

  /** Asks what the session's JWT is worth; the answer goes to `looks`. */
  ask({ id: session, jwt }: Pick<KnownSession, "id" | "jwt">): void {
    // A frozen verifier answers later; it need not be asked everything meanwhile.
    if (this.#asked.size > 100) return;
    const id = this.#next++;
    this.#asked.set(id, session);
    this.#send({ kind: "verify", id, jwt });
  }

  /** Has the JWT verified as soon as a revocation of the session arrives. */
  expect({ id: session, jwt }: Pick<KnownSession, "id" | "jwt">): void {
    this.#send({ kind: "expect", session, jwt });
  }

  /** Waits for the answers that are outstanding; true when they are all there. */
  async settled(within: number): Promise<boolean> {
    for (let waited = 0; this.#asked.size > 0 && waited < within; waited += 10) await delay(10);
    return this.#asked.size === 0;
  }

  freeze(): void {
    this.#child.process.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child.process.kill("SIGCONT");
  }

  async stop(): Promise<void> {
    this.#expectEnd = true;
    await this.#child.kill();
  }

  #send(message: VerifierMessage): void {
    this.#child.process.send(message, () => undefined);
  }

  #take(answer: VerifierAnswer): void {
    switch (answer.kind) {
      case "event":
        this.events[answer.name] = (this.events[answer.name] ?? 0) + 1;
        return;
      case "heard":
        if (!this.heard.has(answer.revision)) this.heard.set(answer.revision, answer.at);
        if (answer.refused === true) this.refused.add(answer.revision);
        return;
      case "verdict": {
        const session = this.#asked.get(answer.id);
        this.#asked.delete(answer.id);
        if (session !== undefined) this.looks.push({ ...answer, session });
      }
    }
  }
}
