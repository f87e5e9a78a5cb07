import { describe, expect, test } from "vitest";
import { CallLimits, type CallRates } from "../../../src/auth/call-limits.ts";
import type { Identity } from "../../../src/auth/identify.ts";
import { type Peer, unknownPeer } from "../../../src/auth/request-credentials.ts";
import { type Reason, SessiondError } from "../../../src/domain/errors.ts";
import { manualClock } from "../rpc/manual-clock.ts";
import { serviceOf } from "../../support/fixtures/deployment.ts";
import { memberId, newProject, newSession } from "../../support/fixtures/stored.ts";

const none: CallRates = { service: undefined, member: undefined, address: undefined, failures: undefined };
const gateway: Peer = { ...unknownPeer, address: "192.0.2.1" };
const project = newProject();
const service = serviceOf(project);
const asService: Identity = { service, caller: service };

function asMember(name: string, of?: Identity["service"]): Identity {
  const fresh = newSession(project, { memberId: memberId(name) });
  const session = { ...fresh, createdRevision: 0, revocation: undefined };
  return { service: of, caller: { kind: "member", project, session } };
}

/** The limit that refused a call; "" if none did. */
function limitOf(call: () => void): string {
  try {
    call();
    return "";
  } catch (error) {
    if (!(error instanceof SessiondError) || error.reason !== "RATE_LIMITED") throw error;
    return error.metadata["limit"] ?? "?";
  }
}

describe("callers", () => {
  test("each service credential, member and address has its own bucket", () => {
    const one = { perSecond: 1, burst: 1 };
    const limits = new CallLimits({ ...none, service: one, member: one, address: one }, manualClock());
    const count = (identity: Identity) => limitOf(() => limits.countCaller(identity));
    expect([asService, asService].map(count)).toEqual(["", "service"]);
    const another = serviceOf(project);
    expect(count({ service: another, caller: another })).toBe("");
    expect([asMember("ada"), asMember("ada"), asMember("bob")].map(count)).toEqual(["", "member", ""]);
    const address = (peer: Peer) => limitOf(() => limits.countAddress(peer));
    expect([gateway, gateway, { ...gateway, address: "192.0.2.2" }].map(address)).toEqual([
      "",
      "address",
      "",
    ]);
    expect([unknownPeer, unknownPeer].map(address), "an unknown address").toEqual(["", ""]);
  });

  test("a service that calls with a member session counts for both", () => {
    const rates = { ...none, service: { perSecond: 1, burst: 2 }, member: { perSecond: 1, burst: 1 } };
    const limits = new CallLimits(rates, manualClock());
    const calls = ["ada", "ada", "bob"].map((name) =>
      limitOf(() => limits.countCaller(asMember(name, service))),
    );
    expect(calls).toEqual(["", "member", "service"]);
  });
});

describe("failed authentications", () => {
  const failures = { perSecond: 20, burst: 100 };

  function attempts(clock = manualClock()) {
    const limits = new CallLimits({ ...none, failures }, clock);
    let reads = 0;
    const attempt = async (token: string, outcome: "good" | SessiondError, peer = gateway) => {
      const identify = async () => {
        reads++;
        if (outcome !== "good") throw outcome;
        return asService;
      };
      const presented = { service: undefined, member: { token } };
      const reasonOf = ({ reason }: SessiondError) => reason;
      return limits.authenticate(peer, presented, identify).then(() => "good", reasonOf);
    };
    const guess = (times: number) =>
      Promise.all(Array.from({ length: times }, (_, i) => attempt(`guess ${clock.now()} ${i}`, unknown())));
    return { attempt, guess, reads: () => reads };
  }

  const unknown = (reason: Reason = "SESSION_UNKNOWN") => new SessiondError(reason);

  test("refuses guesses before the database is read, with a retry delay", async () => {
    const { attempt, guess, reads } = attempts();
    await guess(100);
    expect(await attempt("one more", unknown())).toBe("RATE_LIMITED");
    expect(reads()).toBe(100);
    expect(await attempt("one more", unknown(), { ...gateway, address: "192.0.2.9" })).toBe(
      "SESSION_UNKNOWN",
    );
  });

  test("recently valid credentials are not limited, but checked against the database each time", async () => {
    const { attempt, guess, reads } = attempts();
    expect(await attempt("token of ada", "good")).toBe("good");
    await guess(100);
    expect(await attempt("token of ada", "good")).toBe("good");
    expect(reads()).toBe(102);
    expect(await attempt("token of ada", unknown()), "the session ended meanwhile").toBe("SESSION_UNKNOWN");
    expect(await attempt("token of ada", "good"), "it is limited like any other").toBe("RATE_LIMITED");
  });

  test("all concurrent failures count", async () => {
    const clock = manualClock();
    const { attempt, guess } = attempts(clock);
    await guess(150);
    clock.advance(2_500);
    expect(await attempt("new", "good")).toBe("RATE_LIMITED");
    clock.advance(50);
    expect(await attempt("new", "good")).toBe("good");
  });

  test("a client that repeats one bad credential is limited alone", async () => {
    const clock = manualClock();
    const { attempt, reads } = attempts(clock);
    for (let second = 0; second < 600; second++) {
      for (let i = 0; i < 10; i++) {
        await attempt("a stale credential", unknown("CREDENTIAL_INVALID"));
      }
      clock.advance(1000);
    }
    expect(reads()).toBeLessThan(700);
    expect(await attempt("another", "good")).toBe("good");
  });

  test.each<[what: string, error: SessiondError]>([
    ["a session that was revoked", unknown("SESSION_REVOKED")],
    ["a session that was revoked with all of its member", unknown("SESSION_REVOKED_BY_CUTOFF")],
    ["a session that has expired", unknown("SESSION_EXPIRED")],
    ["a session that was idle for too long", unknown("SESSION_IDLE_EXPIRED")],
    ["a JWT that has expired", unknown("JWT_EXPIRED")],
    ["a database that does not answer", unknown("DATABASE_UNAVAILABLE")],
    ["a project that was disabled", new SessiondError("CREDENTIAL_INVALID", { isGuess: false })],
    ["a JWT of a key that was revoked", new SessiondError("SESSION_UNKNOWN", { isGuess: false })],
  ])("%s does not count as a guess", async (_what, error) => {
    const { attempt } = attempts();
    for (let i = 0; i < 300; i++) expect(await attempt(`token ${i}`, error)).toBe(error.reason);
    expect(await attempt("another", "good")).toBe("good");
  });
});
