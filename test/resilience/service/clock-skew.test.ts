import { randomBytes, randomUUID } from "node:crypto";
import { decodeJwt } from "jose";
import { afterAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { TokenReuseAction } from "../../../gen/session/v1/project_pb.ts";
import { machineClock } from "../../../src/client/clock.ts";
import { createVerifier } from "../../../src/client/verifier/verifier.ts";
import { newLogin, verdictOn } from "../../support/fixtures/logins.ts";
import {
  type RunningService,
  basicAuthorization,
  runningService,
  testMasterKey,
} from "../../support/fixtures/running-service.ts";
import { projectsOf, sessionsOf } from "../../support/fixtures/service-clients.ts";
import { patience } from "../../support/patience.ts";
import { createTestDatabase } from "../../support/postgres/test-database.ts";
import { startChild } from "../../support/process/child.ts";
import { skewedBy } from "../../support/process/skewed-machine.ts";

const second = 1000;
const projectId = "project-test-skew";
const secret = randomBytes(32).toString("base64url");
const basic = basicAuthorization(projectId, secret);
type Replica = Pick<RunningService, "url" | "basic">;

const database = await createTestDatabase();
afterAll(() => database.drop());

/** A replica on a machine whose clock is ahead by `ms`. */
async function machine(ms: number): Promise<Replica> {
  const child = startChild("src/cli/main.ts", ["serve"], {
    NODE_OPTIONS: skewedBy(ms),
    DATABASE_URL: database.url,
    SESSIOND_LISTEN: "127.0.0.1:0",
    SESSIOND_MASTER_KEY: testMasterKey,
    SESSIOND_BOOTSTRAP_PROJECT: `${projectId}:${secret}`,
  });
  afterAll(() => child.kill());
  const [, port = ""] = await child.printed(/listens on http:\/\/127\.0\.0\.1:(\d+)/);
  return { url: `http://127.0.0.1:${port}`, basic };
}

const ahead = await machine(15 * second);
const behind = await machine(-15 * second);

const ways = [
  { name: "from the replica ahead to the one behind", one: ahead, other: behind },
  { name: "from the replica behind to the one ahead", one: behind, other: ahead },
];

async function authenticated({ url }: Replica, credential: { case: "token" | "jwt"; value: string }) {
  const { session } = await sessionsOf({ url, basic }).authenticate({ credential });
  return session;
}

/** A verifier on a machine whose clock is ahead by `ms`. */
async function verifierAhead(ms: number) {
  const clock = { ...machineClock, wall: () => Date.now() + ms };
  const verifier = createVerifier({ baseUrl: ahead.url, credential: { projectId, secret }, clock });
  onTestFinished(() => verifier.close());
  await verifier.ready();
  return verifier;
}

describe.each(ways)("replicas whose clocks differ by 30 seconds agree, $name", ({ one, other }) => {
  test("about a fresh session, its JWT and its times", async () => {
    const now = Date.now();
    const { id, token, jwt } = await newLogin(one, {
      idleTimeout: { seconds: 10n },
      lifetime: { seconds: 20n },
    });
    const byToken = await authenticated(other, { case: "token", value: token });
    expect((await authenticated(other, { case: "jwt", value: jwt }))?.id).toBe(id);
    // All clocks of the test are one, except those of the replicas: their answers have the database's time.
    for (const time of [byToken?.createTime, byToken?.lastAccessTime]) {
      expect(Math.abs(Number(time?.seconds) * second - now)).toBeLessThan(5 * second);
    }
    expect(Math.abs((decodeJwt(jwt).iat ?? 0) * second - now)).toBeLessThan(5 * second);
  });

  test("about tokens that are rotated: reuse detection gives no false alarm", async () => {
    const policy = { tokenReuseAction: TokenReuseAction.REVOKE };
    await projectsOf(one).updatePolicy({ projectId, policy });
    let { token } = await newLogin(one);
    for (const [rotating, late] of [
      [one, other],
      [other, one],
      [one, other],
    ] as const) {
      const rotated = await sessionsOf(rotating).rotateToken({ token });
      expect(await verdictOn(late, { token })).toBe("active");
      expect((await sessionsOf(late).rotateToken({ token })).token).toBe(rotated.token);
      ({ token } = rotated);
    }
    expect(await verdictOn(other, { token })).toBe("active");
  });

  test("about revocations, also by JWT and by an end user's JWT", async () => {
    const [first, mate] = [await newLogin(one), await newLogin(one)];
    await sessionsOf(other).revoke({ target: { case: "jwt", value: first.jwt } });
    expect(await verdictOn(one, first)).toBe("SESSION_REVOKED");
    expect((await logOut(other, "/sessions/revoke-all", "POST", mate.jwt)).status).toBe(200);
    expect(await verdictOn(one, mate)).toBe("SESSION_REVOKED_BY_CUTOFF");
  });
});

test.each([30 * second, -30 * second])(
  "a verifier whose clock is %i ms ahead accepts fresh JWTs of both replicas, and no revoked one",
  async (ms) => {
    const verifier = await verifierAhead(ms);
    for (const replica of [ahead, behind]) {
      const login = await newLogin(replica);
      expect(await verifier.verify(login.jwt)).toMatchObject({ ok: true, answeredBy: "verifier" });
      const { revision } = await sessionsOf(replica).revoke({ target: { case: "id", value: login.id } });
      await vi.waitUntil(() => (verifier.status().revision ?? 0) >= Number(revision), patience);
      expect(await verifier.verify(login.jwt)).toMatchObject({ ok: false, reason: "revoked" });
    }
  },
);

function logOut({ url }: Replica, path: string, method: string, jwt: string): Promise<Response> {
  return fetch(url + path, { method, headers: { authorization: `Bearer ${jwt}` } });
}

describe("a replica whose time is wrong by an hour, whatever the database says", async () => {
  const right = await runningService();
  const { databaseUrl } = right;
  const slow = await runningService({ databaseUrl, now: () => new Date(Date.now() - 3600 * second) });
  const fast = await runningService({ databaseUrl, now: () => new Date(Date.now() + 3600 * second) });

  test.each([
    ["slow", slow],
    ["fast", fast],
  ])("revokes by a JWT: the %s one", async (_, replica) => {
    const login = await newLogin(right);
    await sessionsOf(replica).revoke({ target: { case: "jwt", value: login.jwt } });
    expect(await verdictOn(right, login)).toBe("SESSION_REVOKED");
  });

  test("takes a JWT that is too young from an end user who logs out, and for nothing else", async () => {
    const mine = await newLogin(right, { memberId: randomUUID() });
    const other = await newLogin(right, { memberId: mine.memberId });
    const reading = await logOut(slow, "/session/v1/sessions", "GET", mine.jwt);
    expect([reading.status, await reading.text()]).toEqual([401, expect.stringContaining("SESSION_UNKNOWN")]);
    expect((await logOut(slow, `/auth/sessions/${other.id}`, "DELETE", mine.jwt)).status).toBe(204);
    expect(await verdictOn(right, other)).toBe("SESSION_REVOKED");
    expect((await logOut(slow, "/sessions/revoke-all", "POST", mine.jwt)).status).toBe(200);
    expect(await verdictOn(right, mine)).toBe("SESSION_REVOKED_BY_CUTOFF");
  });
});
