import { Code, ConnectError } from "@connectrpc/connect";
import { decodeJwt } from "jose";
import type { CreateResponse, RevokeAllResponse } from "../../../gen/session/v1/session_service_pb.ts";
import { errorInfoOf } from "../../../src/client/error-info.ts";
import type { KnownSession } from "./population.ts";
import { type Ending, type Observation, type Operation, type Span, monotonic } from "./history.ts";

/** Result of a call: its answer, the state of the session by a refusal, or an unknown outcome. */
export type Outcome<T> = Span &
  (
    | { readonly answer: T }
    | { readonly saw: Exclude<Observation["saw"], "alive">; readonly revokedBy?: number }
    | { readonly failed: string }
  );

export type Receipt = Pick<RevokeAllResponse, "revision" | "revokedCount">;

export class Recorder {
  readonly history: Operation[] = [];
  calls = 0;
  readonly failures: Partial<Record<string, number>> = {};

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
        const revokedBy = info?.metadata["revision"];
        return {
          ...span,
          saw: refusal,
          ...(revokedBy === undefined ? {} : { revokedBy: Number(revokedBy) }),
        };
      }
      const failed = `${Code[ConnectError.from(error).code]}${info === undefined ? "" : ` ${info.reason}`}`;
      this.failures[failed] = (this.failures[failed] ?? 0) + 1;
      return { ...span, failed };
    }
  }

  /** Records a session that was created. */
  creation(
    owner: Pick<KnownSession, "member" | "organization">,
    { answer: { session, token, jwt }, start, end }: Span & { readonly answer: CreateResponse },
  ): KnownSession {
    const id = session?.id ?? "";
    const createdRevision = Number(decodeJwt(jwt)["rev"]);
    this.history.push({ kind: "creation", session: id, ...owner, createdRevision, start, end });
    return { id, ...owner, token, jwt };
  }

  /** Records the state of a session; returns whether it may be alive. */
  observation(session: string, by: Observation["by"], outcome: Outcome<unknown>): boolean {
    if ("failed" in outcome) return true;
    const { start, end } = outcome;
    const seen =
      "answer" in outcome
        ? { saw: "alive" as const }
        : {
            saw: outcome.saw,
            ...(outcome.revokedBy === undefined ? {} : { revokedBy: outcome.revokedBy }),
          };
    this.history.push({ kind: "observation", session, by, start, end, ...seen });
    return "answer" in outcome;
  }

  /** Records a revocation: acknowledged, or with an unknown outcome. */
  revocation(ending: Ending, outcome: Span & ({ answer: Receipt } | { failed: string })): void {
    const { start } = outcome;
    if ("failed" in outcome) {
      this.history.push({ kind: "revocation", ...ending, effective: true, start, end: Infinity });
      return;
    }
    const { revision, revokedCount } = outcome.answer;
    // Sessions of a load do not expire: one that was not alive had been revoked.
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

const refusals: ReadonlyMap<string, Exclude<Observation["saw"], "alive">> = new Map([
  ["SESSION_REVOKED", "dead"],
  ["SESSION_REVOKED_BY_CUTOFF", "dead"],
  ["SESSION_NOT_ACTIVE", "dead"],
  ["SESSION_UNKNOWN", "missing"],
  ["SESSION_NOT_FOUND", "missing"],
]);
