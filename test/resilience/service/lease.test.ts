import { expect, onTestFinished, test, vi } from "vitest";
import { connectSessiond } from "../../../src/client/client.ts";
import { reasonOf } from "../../support/fixtures/logins.ts";
import { basicAuthorization, testMasterKey } from "../../support/fixtures/running-service.ts";
import { patience } from "../../support/patience.ts";
import { replicatedPostgres } from "../../support/postgres/replicated-postgres.ts";
import { linesOf, serveProcess } from "../../support/process/serve-process.ts";

const projectId = "lease";
const secret = "a-bootstrap-secret-of-this-test-only";
const timeoutMs = 1_000;

/** A service in its own process on a primary with a synchronous standby. */
async function leasedService() {
  const postgres = await replicatedPostgres();
  const service = serveProcess({
    DATABASE_URL: postgres.url,
    SESSIOND_MASTER_KEY: testMasterKey,
    SESSIOND_BOOTSTRAP_PROJECT: `${projectId}:${secret}`,
    SESSIOND_METRICS_LISTEN: "127.0.0.1:0",
  });
  const baseUrl = `http://127.0.0.1:${await service.listening}`;
  const client = connectSessiond({ baseUrl, credential: { projectId, secret } });
  onTestFinished(() => client.close());
  const messages = () => linesOf(service).map(({ msg }) => msg);
  return { ...postgres, service, baseUrl, sessions: client.sessions, messages };
}

async function outcomeOf(call: Promise<unknown>): Promise<string> {
  return call.then(() => "answered", reasonOf);
}

test("while the standby is frozen nothing that says a session is valid is answered, and all is as before when it thaws", async () => {
  const { standby, sessions, baseUrl, messages, service } = await leasedService();
  const { token, jwt, session } = await sessions.create({ memberId: "m" });
  const id = session?.id ?? "";
  const authorization = { authorization: `Bearer ${token}` };
  const basic = { authorization: basicAuthorization(projectId, secret) };
  const status = async (path: string, headers: Record<string, string> = {}) => {
    const response = await fetch(`${baseUrl}${path}`, { headers });
    await response.arrayBuffer();
    return response.status;
  };
  const watched: { readonly readAt: number; readonly upToDate: boolean }[] = [];
  const watchStart = performance.now();
  const watch = (async () => {
    const stream = sessions.watchRevocations(
      { heartbeat: { seconds: 0n, nanos: 100_000_000 } },
      { timeoutMs: 0 },
    );
    for await (const { readOffset, upToDate } of stream) {
      const offsetMs = Number(readOffset?.seconds ?? 0n) * 1_000 + (readOffset?.nanos ?? 0) / 1e6;
      watched.push({ readAt: watchStart + offsetMs, upToDate });
    }
  })().catch(reasonOf);
  await vi.waitUntil(() => watched.length > 2, patience);

  await standby.freeze();
  const frozenAt = performance.now();
  await vi.waitUntil(async () => (await status("/healthz")) === 503, patience);
  const reads = {
    token: sessions.authenticate({ credential: { case: "token", value: token } }, { timeoutMs }),
    jwt: sessions.authenticate({ credential: { case: "jwt", value: jwt } }, { timeoutMs }),
    get: sessions.get({ id }, { timeoutMs }),
    list: sessions.list({ memberId: "m" }, { timeoutMs }),
    revocations: sessions.listRevocations({}, { timeoutMs }),
  };
  for (const [name, read] of Object.entries(reads)) {
    expect([name, await outcomeOf(read)]).toEqual([name, "DATABASE_UNAVAILABLE"]);
  }
  expect(await status(`/session/v1/sessions/${id}`, basic), "REST").toBe(503);
  expect(await status(`/session/v1/sessions/${id}`, authorization), "an end user").toBe(503);
  expect(await status("/livez")).toBe(200);
  const revoke = () => outcomeOf(sessions.revoke({ target: { case: "id", value: id } }, { timeoutMs }));
  expect(await revoke()).toBe("DATABASE_UNAVAILABLE");
  expect(await watch).toBe("DATABASE_UNAVAILABLE");
  const read = watched.filter(({ upToDate }) => upToDate).map(({ readAt }) => readAt);
  expect(Math.max(...read)).toBeLessThan(frozenAt + 2_200);

  await standby.thaw();
  await vi.waitUntil(async () => (await status("/healthz")) === 200, patience);
  const authenticated = await sessions.authenticate({ credential: { case: "token", value: token } });
  expect(authenticated.session?.id).toBe(id);
  expect(await revoke()).toBe("answered");
  expect(messages().filter((msg) => msg.startsWith("no synchronous standby has confirmed"))).toHaveLength(1);
  expect(messages().filter((msg) => msg.startsWith("the database confirms this process again"))).toHaveLength(
    1,
  );
  const serving = linesOf(service).find(({ msg }) => msg === "serving metrics");
  const metrics = await (await fetch(`http://127.0.0.1:${String(serving?.["port"])}/metrics`)).text();
  expect(metrics).toMatch(/^sessiond_lease_held 1$/m);
  expect(metrics).toMatch(/^sessiond_database_timeline 1$/m);
  expect(metrics).toMatch(/^sessiond_reads_refused_total\{cause="lease"\} [1-9]/m);
}, 120_000);

test("without synchronous standbys calls are answered although a standby is frozen", async () => {
  const { primary, standby, sessions } = await leasedService();
  const { token, session } = await sessions.create({ memberId: "m" });
  await primary.sql("alter system reset synchronous_standby_names");
  await primary.sql("select pg_reload_conf()");
  await vi.waitUntil(async () => {
    const [row] = await primary.sql<{ leased: boolean }>("select leased from replicas");
    return row?.leased === false;
  }, patience);
  await standby.freeze();
  const over = performance.now() + 4_000;
  const authenticate = () =>
    sessions.authenticate({ credential: { case: "token", value: token } }, { timeoutMs });
  const failures: string[] = [];
  while (performance.now() < over) {
    await authenticate().catch((error: unknown) => failures.push(reasonOf(error)));
  }
  expect(failures).toEqual([]);
  await sessions.revoke({ target: { case: "id", value: session?.id ?? "" } }, { timeoutMs });
}, 120_000);
