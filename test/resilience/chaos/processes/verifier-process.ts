// A process that verifies session JWTs locally. Receives requests over IPC.
import {
  type Verdict,
  type VerifierOptions,
  createVerifier,
} from "../../../../src/client/verifier/verifier.ts";
import { monotonic } from "../history.ts";

/** A request: verify a JWT, or expect the revocation of a session. */
export type VerifierMessage =
  | { readonly kind: "verify"; readonly id: number; readonly jwt: string }
  | { readonly kind: "expect"; readonly session: string; readonly jwt: string };

/** A message of the verifier. Times are in milliseconds of the monotonic clock. */
export type VerifierAnswer =
  | { readonly kind: "event"; readonly name: VerifierEvent }
  /** The revocation takes effect from `at` on. `refused`: the expected JWT was refused. */
  | { readonly kind: "received"; readonly revision: number; readonly at: number; readonly refused?: true }
  | VerifierVerdict;

const forwarded = ["stale", "fresh", "resynchronised", "historyChanged", "historyRecovered"] as const;

export type VerifierEvent = "ready" | (typeof forwarded)[number];

/** A verdict, with the reported staleness just before and just after it. */
export interface VerifierVerdict {
  readonly kind: "verdict";
  readonly id: number;
  readonly start: number;
  readonly end: number;
  readonly before: number;
  readonly after: number;
  readonly verdict: Verdict;
}

const start: VerifierOptions = JSON.parse(process.argv[2] ?? "{}");
const verifier = createVerifier(start);
const send = (answer: VerifierAnswer) => process.send?.(answer);

/** JWTs of sessions that will be revoked, by session id. Each is verified when a revocation of the session arrives. */
const expected = new Map<string, string>();

verifier.events.on("revocation", ({ revision, targetId }) => {
  const receivedAt = monotonic();
  const jwt = expected.get(targetId);
  if (jwt === undefined) {
    send({ kind: "received", revision, at: receivedAt });
    return;
  }
  expected.delete(targetId);
  void verifier.verify(jwt).then((verdict) => {
    const refused = !verdict.ok && verdict.reason === "revoked";
    send({ kind: "received", revision, at: monotonic(), ...(refused ? { refused } : {}) });
  });
});
for (const name of forwarded) {
  verifier.events.on(name, () => send({ kind: "event", name }));
}

async function answer(id: number, jwt: string): Promise<void> {
  const startedAt = monotonic();
  const before = verifier.status().staleness;
  const verdict = await verifier.verify(jwt);
  const after = verifier.status().staleness;
  send({ kind: "verdict", id, start: startedAt, end: monotonic(), before, after, verdict });
}

process.on("message", (message: VerifierMessage) => {
  if (message.kind === "verify") void answer(message.id, message.jwt);
  else expected.set(message.session, message.jwt);
});
await verifier.ready();
send({ kind: "event", name: "ready" });
