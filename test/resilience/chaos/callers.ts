import { setTimeout as delay } from "node:timers/promises";
import type { Sessiond } from "../../../src/client/client.ts";
import { monotonic } from "./history.ts";
import type { Recorder } from "./recorder.ts";

/** Longest time without an answer, in milliseconds, over all replicas. */
export interface Waiting {
  readonly reads: number;
  readonly writes: number;
}

/** Milliseconds from an answer or a refusal to the next call. */
const pauseMs = 20;

const deadlineMs = 1000;

/** Two callers per replica, one of Authenticate and one of Revoke, that measure how long they are without an answer. */
export class Callers {
  readonly #recorder: Recorder;
  readonly #stopping = new AbortController();
  readonly #running: Promise<readonly Waiting[]>;

  /** Revocations are added to the history of the recorder. */
  constructor(replicas: readonly { connect(timeoutMs: number): Sessiond["sessions"] }[], recorder: Recorder) {
    this.#recorder = recorder;
    this.#running = Promise.all(replicas.map((replica) => this.#measure(replica.connect(deadlineMs))));
  }

  async stop(): Promise<Waiting> {
    this.#stopping.abort();
    const all = await this.#running;
    return {
      reads: Math.max(...all.map(({ reads }) => reads)),
      writes: Math.max(...all.map(({ writes }) => writes)),
    };
  }

  async #measure(sessions: Sessiond["sessions"]): Promise<Waiting> {
    let token: string | undefined;
    const read = async () => {
      if (token === undefined) return true;
      const value = token;
      return isAnswer(
        await this.#recorder.attempt(() => sessions.authenticate({ credential: { case: "token", value } })),
      );
    };
    const write = async () => {
      const created = await this.#recorder.attempt(() => sessions.create({ memberId: "waiting" }));
      if (!("answer" in created)) return false;
      token = created.answer.token;
      const target = created.answer.session?.id ?? "";
      const revoked = await this.#recorder.attempt(() =>
        sessions.revoke({ target: { case: "id", value: target } }),
      );
      if (!("saw" in revoked)) this.#recorder.revocation({ scope: "session", target }, revoked);
      return isAnswer(revoked);
    };
    const [reads, writes] = await Promise.all([this.#longestWait(read), this.#longestWait(write)]);
    return { reads, writes };
  }

  async #longestWait(call: () => Promise<boolean>): Promise<number> {
    let longest = 0;
    let answered = monotonic();
    while (!this.#stopping.signal.aborted) {
      const ok = await call();
      const now = monotonic();
      if (ok) {
        longest = Math.max(longest, now - answered);
        answered = now;
      }
      await delay(pauseMs);
    }
    return Math.round(Math.max(longest, monotonic() - answered));
  }
}

/** A refusal of the session is an answer: it comes from the database. */
function isAnswer(outcome: object): boolean {
  return !("failed" in outcome);
}
