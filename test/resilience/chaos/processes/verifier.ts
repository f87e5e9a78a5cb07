import { setTimeout as delay } from "node:timers/promises";
import { type Child, startChild } from "../../../support/process/child.ts";
import type { VerifierOptions } from "../../../../src/client/verifier/verifier.ts";
import type { KnownSession } from "../population.ts";
import type { VerifierAnswer, VerifierEvent, VerifierMessage, VerifierVerdict } from "./verifier-process.ts";

export interface VerifierObservation extends VerifierVerdict {
  readonly session: string;
}

export class VerifierProcess {
  readonly maxStaleness: number;
  readonly observations: VerifierObservation[] = [];
  /** Time at which each revision first took effect. */
  readonly received = new Map<number, number>();
  /** Revisions for which the JWT of the session was verified and refused at that time. */
  readonly refused = new Set<number>();
  readonly events: Partial<Record<VerifierEvent, number>> = {};
  readonly #child: Child;
  readonly #asked = new Map<number, string>();
  #next = 0;
  #exitExpected = false;
  readonly unexpectedExits: string[] = [];

  private constructor(child: Child, maxStaleness: number) {
    this.maxStaleness = maxStaleness;
    this.#child = child;
    child.process.on("message", (answer: VerifierAnswer) => this.#take(answer));
    void child.ended.then(() => {
      if (!this.#exitExpected) this.unexpectedExits.push(child.errorLines.slice(-5).join("\n"));
    });
  }

  /** Resolves when the verifier has its first snapshot. */
  static async start(
    options: VerifierOptions & { readonly maxStaleness: number },
    environment: Readonly<Record<string, string>> = {},
  ): Promise<VerifierProcess> {
    const child = startChild(
      "test/resilience/chaos/processes/verifier-process.ts",
      [JSON.stringify(options)],
      environment,
    );
    const verifier = new VerifierProcess(child, options.maxStaleness);
    while (verifier.events.ready === undefined) await child.message();
    return verifier;
  }

  /** Requests a verdict on the session's JWT, which is added to `observations`. */
  ask({ id: session, jwt }: Pick<KnownSession, "id" | "jwt">): void {
    // A frozen verifier answers later. Limit the queue.
    if (this.#asked.size > 100) return;
    const id = this.#next++;
    this.#asked.set(id, session);
    this.#send({ kind: "verify", id, jwt });
  }

  /** Verifies the JWT as soon as a revocation of the session arrives. */
  expect({ id: session, jwt }: Pick<KnownSession, "id" | "jwt">): void {
    this.#send({ kind: "expect", session, jwt });
  }

  /** Waits for outstanding answers; returns whether all arrived. */
  async answered(timeoutMs: number): Promise<boolean> {
    for (let waited = 0; this.#asked.size > 0 && waited < timeoutMs; waited += 10) await delay(10);
    return this.#asked.size === 0;
  }

  freeze(): void {
    this.#child.freeze();
  }

  thaw(): void {
    this.#child.thaw();
  }

  async stop(): Promise<void> {
    this.#exitExpected = true;
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
      case "received":
        if (!this.received.has(answer.revision)) this.received.set(answer.revision, answer.at);
        if (answer.refused === true) this.refused.add(answer.revision);
        return;
      case "verdict": {
        const session = this.#asked.get(answer.id);
        this.#asked.delete(answer.id);
        if (session !== undefined) this.observations.push({ ...answer, session });
      }
    }
  }
}
