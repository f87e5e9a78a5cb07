import { randomUUID } from "node:crypto";
import { expect, test, vi } from "vitest";
import { SessionLimitAction } from "../../../gen/session/v1/project_pb.ts";
import { expectOwnAnswers, newLogin, newLogins, reasonOf, verdictOn } from "../../support/fixtures/logins.ts";
import { poolUse, projectsOf, sessionsOf, withGrpcTimeout } from "../../support/fixtures/service-clients.ts";
import { patience } from "../../support/patience.ts";
import { connectedClient, holding } from "../../support/postgres/operator.ts";
import { relayedService } from "../../support/fixtures/relayed-service.ts";

// Connections that are dead on one side only, and statements that hang.

const { service, relay, directUrl } = await relayedService({
  SESSIOND_DATABASE_MAX_CONNECTIONS: "2",
  SESSIOND_DATABASE_CONNECT_TIMEOUT_MS: "2000",
  SESSIOND_DATABASE_STATEMENT_TIMEOUT_MS: "2000",
});
const sessions = sessionsOf(service);
const { projectId } = service;
const operator = await connectedClient(directUrl);

const byId = ({ id }: { readonly id: string }) => ({ case: "id", value: id }) as const;

/** Resolves once no connection is in use or waited for. */
async function poolAtRest(): Promise<void> {
  await vi.waitUntil(async () => {
    const { open, idle, waitedFor } = await poolUse(service.metricsUrl);
    return open === idle && waitedFor === 0;
  }, patience);
}

test("every call ends, by its deadline if it has one, when the database falls silent; the service recovers", async () => {
  const logins = await newLogins(service, 10);
  const login = await newLogin(service);
  await expectOwnAnswers(service, logins);
  relay.fallSilent();
  const { id, token, memberId } = login;
  const outcomes = (options = {}) =>
    Promise.all(
      [
        sessions.authenticate({ credential: { case: "token", value: token } }, options),
        sessions.get({ id }, options),
        sessions.list({ memberId }, options),
        sessions.create({ memberId }, options),
        sessions.rotateToken({ token }, options),
        sessions.revoke({ target: byId(login) }, options),
        sessions.revokeAll({ scope: { case: "memberId", value: memberId } }, options),
      ].map((call) => call.then(() => "answered", reasonOf)),
    );
  const patient = outcomes();
  expect(new Set(await outcomes(withGrpcTimeout(500)))).toEqual(new Set(["DEADLINE_EXCEEDED"]));
  expect(new Set(await patient)).toEqual(new Set(["DATABASE_UNAVAILABLE"]));

  // Earlier connections stay silent until the service gives them up.
  relay.mend();
  await answered(() => expectOwnAnswers(service, [...logins, login]));
  await poolAtRest();
});

/** Retries until a call succeeds. Any error but DATABASE_UNAVAILABLE is thrown. */
async function answered<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (reasonOf(error) !== "DATABASE_UNAVAILABLE") throw error;
    }
  }
}

test("a connection that falls silent in a transaction delays other calls only briefly", async () => {
  const login = await newLogin(service);
  const silence = relay.injectFault("silence", /^commit$/, /insert into revocations/);
  // With a deadline below the statement timeout it runs in a transaction with its own commit.
  expect(await sessions.revoke({ target: byId(login) }, withGrpcTimeout(1500)).catch(reasonOf)).toBe(
    "DEADLINE_EXCEEDED",
  );
  await silence;
  // The revision of the project stays locked until the database gives up the transaction.
  expect(await verdictOn(service, login)).toBe("active");
  await answered(() => sessions.revoke({ target: byId(login) }));
  expect(await verdictOn(service, login)).toBe("SESSION_REVOKED");
  const { rows } = await operator.query("select from revocations where target_id = $1", [login.id]);
  expect(rows).toHaveLength(1);

  const limit = { maxSessionsPerMember: 1, sessionLimitAction: SessionLimitAction.END_OLDEST };
  await projectsOf(service).updatePolicy({ projectId, policy: limit });
  const memberId = randomUUID();
  const logInAgain = () => newLogin(service, { memberId });
  const another = relay.injectFault("silence", /insert into sessions/);
  expect(await logInAgain().catch(reasonOf)).toBe("DATABASE_UNAVAILABLE");
  await another;
  expect(await verdictOn(service, await answered(logInAgain))).toBe("active");
  await projectsOf(service).updatePolicy({ projectId, updateMask: { paths: ["*"] } });
  await poolAtRest();
});

test("a hanging statement is cancelled, other calls are served meanwhile, and its connection stays usable", async () => {
  const lost = () => service.log.filter(({ msg }) => msg === "database connection lost").length;
  const [login, other] = [await newLogin(service), await newLogin(service)];
  const before = lost();
  const lock = `select from project_revisions where project_id = '${projectId}' for update`;
  await holding(operator, lock, async () => {
    const patient = sessions.revoke({ target: byId(login) }).catch(reasonOf);
    expect(await sessions.revoke({ target: byId(other) }, withGrpcTimeout(500)).catch(reasonOf)).toBe(
      "DEADLINE_EXCEEDED",
    );
    await expectOwnAnswers(service, [login, other]);
    expect(await verdictOn(service, await newLogin(service))).toBe("active");
    expect(await patient).toBe("DATABASE_UNAVAILABLE");
  });
  const { rows } = await operator.query("select from revocations where target_id = any($1)", [
    [login.id, other.id],
  ]);
  expect(rows).toEqual([]);
  await sessions.revoke({ target: byId(login) });
  expect(await verdictOn(service, login)).toBe("SESSION_REVOKED");
  await poolAtRest();
  expect(lost()).toBe(before);
});
