// Run as a process of its own: a service that verifies session JWTs locally, told what to verify over IPC.
import { createVerifier } from "../../../../src/client/verifier/verifier.ts";
import { monotonic } from "../monotonic.ts";
import type { VerifierAnswer, VerifierMessage, VerifierStart } from "./verifier-messages.ts";

const start: VerifierStart = JSON.parse(process.argv[2] ?? "{}");
const verifier = createVerifier(start);
const send = (answer: VerifierAnswer) => process.send?.(answer);

/** JWTs of sessions that are about to be revoked, by session: each is verified as soon as a revocation could concern it. */
const expected = new Map<string, string>();

verifier.events.on("revocation", ({ revision, targetId }) => {
  const heardAt = monotonic();
  const jwt = expected.get(targetId);
  if (jwt === undefined) {
    send({ kind: "heard", revision, at: heardAt });
    return;
  }
  expected.delete(targetId);
  void verifier.verify(jwt).then((verdict) => {
    const refused = !verdict.ok && verdict.reason === "revoked";
    send({ kind: "heard", revision, at: monotonic(), ...(refused ? { refused } : {}) });
  });
});
for (const name of ["stale", "fresh", "resynchronised"] as const) {
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
