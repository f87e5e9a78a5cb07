import type { Creation, Operation, Revocation } from "../history.ts";
import { Killers } from "../processes/killers.ts";
import type { VerifierLook } from "../processes/verifier.ts";

/**
 * What a verifier with this bound, in milliseconds, must not have answered. It may accept the JWT of a revoked session only as
 * long as what it holds is, by its own word, from before the revocation returned, and not older than the bound.
 */
export function checkVerifier(
  looks: readonly VerifierLook[],
  history: readonly Operation[],
  maxStaleness: number,
): readonly string[] {
  const revocations = history.filter((operation) => operation.kind === "revocation");
  const creations = history.filter((operation) => operation.kind === "creation");
  const killers = new Killers(
    revocations.filter((revocation) => revocation.effective),
    creations,
  );
  const sessions = new Map(creations.map((creation) => [creation.session, creation]));
  return looks.flatMap((look) => {
    const creation = sessions.get(look.session);
    if (creation === undefined) return [];
    const wrong = problemOf(look, creation, killers.of(creation), maxStaleness);
    return wrong === undefined
      ? []
      : [`${wrong}: ${JSON.stringify(look, (key, value) => (key === "claims" ? undefined : value))}`];
  });
}

function problemOf(
  look: VerifierLook,
  creation: Creation,
  killers: readonly Revocation[],
  maxStaleness: number,
): string | undefined {
  const { verdict, start, end, before, after } = look;
  if (verdict.ok) {
    const returned = (time: number) => killers.find((killer) => killer.end < time);
    if (verdict.answeredBy === "server") {
      return returned(start) && "the server accepted a session after its revocation had returned";
    }
    if (Math.min(before, after) > maxStaleness) {
      return "the verifier accepted a JWT though what it holds was too old";
    }
    const killer = returned(start - before);
    return killer && `the verifier accepted though it knew, by its own word, of revision ${killer.revision}`;
  }
  switch (verdict.reason) {
    case "revoked":
      // By which revocation is not compared: a cutoff that found the session dead already did not spare it, whatever it said.
      return killers.some((killer) => killer.start < end)
        ? undefined
        : `the verifier refused session ${creation.session} though nothing had ended it`;
    case "expired":
    case "stale":
      return undefined;
    case "invalid":
      return "the verifier called a good JWT invalid";
  }
}
