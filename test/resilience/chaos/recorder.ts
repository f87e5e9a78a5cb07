import { Code, ConnectError } from "@connectrpc/connect";
import type { RevokeResponse } from "../../../gen/session/v1/session_service_pb.ts";
import { errorInfoOf } from "../../../src/client/error-info.ts";
import type { Ending, Look, Operation, Span } from "./history.ts";
import { monotonic } from "./monotonic.ts";

/** How a call went: its answer, what its refusal says of the session, or that nobody knows whether it took effect. */
export type Outcome<T> = Span &
  (
    | { readonly answer: T }
    | { readonly saw: Exclude<Look["saw"], "alive">; readonly blamed?: number }
    | { readonly failed: string }
  );

/** What Revoke and RevokeAll answer, as far as it matters here. */
export type Receipt = Pick<RevokeResponse, "revision" | "revokedCount">;

/** Makes calls and writes the history down. */
export class Recorder {
  readonly history: Operation[] = [];
  /** Calls that were made. */
  calls = 0;
  /** Calls with an unknown outcome, by code and reason. */
  readonly failures: Partial<Record<string, number>> = {};

  /** Times a call and reads its outcome. */
  async attempt<T>(call: () => Promise<T>): Promise<Outcome<T>> {
    this.calls++;
    const start = monotonic();
    try {
      const answer = await call();
      return { start, end: monotonic(), answer };
    } catch (error) {
      const span = { start, end: monotonic() };
      const info = errorInfoOf(error);
      const refusal = refusals.get(info?.reason ?? "");
      if (refusal !== undefined) {
        const blamed = info?.metadata["revision"];
        return { ...span, saw: refusal, ...(blamed === undefined ? {} : { blamed: Number(blamed) }) };
      }
      const failed = `${Code[ConnectError.from(error).code]}${info === undefined ? "" : ` ${info.reason}`}`;
      this.failures[failed] = (this.failures[failed] ?? 0) + 1;
      return { ...span, failed };
    }
  }

  /** Records what the outcome says of a session; true where it is alive. */
  look(session: string, by: Look["by"], outcome: Outcome<unknown>): boolean {
    if ("failed" in outcome) return true;
    const { start, end } = outcome;
    const seen =
      "answer" in outcome
        ? { saw: "alive" as const }
        : { saw: outcome.saw, ...(outcome.blamed === undefined ? {} : { blamed: outcome.blamed }) };
    this.history.push({ kind: "look", session, by, start, end, ...seen });
    return "answer" in outcome;
  }

  /** Records a revocation that was acknowledged, or that may take effect at any time from its start. */
  revocation(ending: Ending, outcome: Span & ({ answer: Receipt } | { failed: string })): void {
    const { start } = outcome;
    if ("failed" in outcome) {
      this.history.push({ kind: "revocation", ...ending, effective: true, start, end: Infinity });
      return;
    }
    const { revision, revokedCount } = outcome.answer;
    // No session of a load expires: one that was not alive had been revoked.
    const effective = ending.scope !== "session" || revokedCount === 1n;
    this.history.push({
      kind: "revocation",
      ...ending,
      effective,
      revision: Number(revision),
      start,
      end: outcome.end,
    });
  }
}

const refusals: ReadonlyMap<string, Exclude<Look["saw"], "alive">> = new Map([
  ["SESSION_REVOKED", "dead"],
  ["SESSION_REVOKED_BY_CUTOFF", "dead"],
  ["SESSION_NOT_ACTIVE", "dead"],
  ["SESSION_UNKNOWN", "missing"],
  ["SESSION_NOT_FOUND", "missing"],
]);
