import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Health } from "../../../gen/grpc/health/v1/health_pb.ts";
import { basicAuthorization, testMasterKey } from "../../support/fixtures/running-service.ts";
import { serveProcess } from "../../support/process/serve-process.ts";
import { sessionsOf } from "../../support/fixtures/service-clients.ts";
import { type TestDatabase, createTestDatabase } from "../../support/postgres/test-database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const masterKey = { SESSIOND_MASTER_KEY: testMasterKey };
const secret = "bootstrap-secret-of-this-test";

test("reports all problems of the configuration at once, without values", async () => {
  const values = {
    DATABASE_URL: "mysql://user:secret-password@host/db",
    SESSIOND_LISTEN: "nowhere-at-all",
    SESSIOND_MASTER_KEY: "c2hvcnQtbWFzdGVyLWtleQ==",
    SESSIOND_BOOTSTRAP_PROJECT: "no colon, but a-secret",
    SESSIOND_LOG_LEVEL: "loud-and-clear",
    SESSIOND_MAX_MESSAGE_BYTES: "many-bytes",
    SESSIOND_KRATOS_PREFIX: "auth-without-slash",
    SESSIOND_KRATOS_ALLOWED_ORIGINS: "no-origin.example",
  };
  const process = serveProcess(values);
  expect(await process.ended).toBe(1);
  expect(process.stdout()).toBe("");
  const lines = process.stderr().trimEnd().split("\n");
  expect(lines[0]).toBe("sessiond cannot start:");
  const named = lines.slice(1).map((line) => /^ {2}(\w+): \S/.exec(line)?.[1]);
  expect(new Set(named)).toEqual(new Set(Object.keys(values)));
  expect(process.stderr()).toContain("must be a whole number of bytes from 16384 to 67108864");
  for (const value of Object.values(values)) expect(process.stderr()).not.toContain(value);
});

test("rejects DATABASE_URL without a master key", async () => {
  const process = serveProcess({ DATABASE_URL: database.url });
  expect(await process.ended).toBe(1);
  expect(process.stderr()).toMatch(/SESSIOND_MASTER_KEY: is required with DATABASE_URL: 32 bytes in base64/);
});

test("reports an unreachable database without its password", async () => {
  const url = new URL(database.url);
  Object.assign(url, { port: "1", password: "a-database-password" });
  const process = serveProcess({ ...masterKey, DATABASE_URL: url.href });
  expect(await process.ended).toBe(1);
  expect(process.stderr()).toContain("sessiond cannot start: the database does not answer\n  because: ");
  expect(process.stderr()).not.toContain("a-database-password");
  expect(process.stderr()).not.toMatch(/ {4}at /);
});

test("rejects a newer schema", async () => {
  const newer = await createTestDatabase();
  try {
    const client = new Client({ connectionString: newer.url });
    await client.connect();
    await client.query("insert into schema_migrations values ('9999_from_the_future', now()::text)");
    await client.end();
    const process = serveProcess({ ...masterKey, DATABASE_URL: newer.url });
    expect(await process.ended).toBe(1);
    expect(process.stderr()).toContain("newer than this version of sessiond");
    expect(process.stderr()).toContain("9999_from_the_future");
  } finally {
    await newer.drop();
  }
});

test("serves a newer schema that allows this version, and leaves it unchanged", async () => {
  const newer = await createTestDatabase();
  try {
    const client = new Client({ connectionString: newer.url });
    await client.connect();
    await client.query("insert into schema_migrations values ('9999_from_the_future', now()::text)");
    await client.query(
      "insert into schema_migrations_needs select '9999_from_the_future', max(migration) from schema_migrations_needs",
    );
    await client.end();
    const process = serveProcess({
      ...masterKey,
      DATABASE_URL: newer.url,
      SESSIOND_BOOTSTRAP_PROJECT: `rolled-back:${secret}`,
    });
    const url = `http://127.0.0.1:${await process.listening}`;
    await sessionsOf({ url, basic: basicAuthorization("rolled-back", secret) }).create({ memberId: "m" });
    expect(process.stderr()).toContain('"migration":"9999_from_the_future"');
    process.signal("SIGTERM");
    expect(await process.ended).toBe(0);
  } finally {
    await newer.drop();
  }
});

test("reports an address in use; warns of an unknown variable", async () => {
  const one = serveProcess({ ...masterKey, DATABASE_URL: database.url, SESSIOND_LISTENS: "x" });
  const port = await one.listening;
  const other = serveProcess({
    ...masterKey,
    DATABASE_URL: database.url,
    SESSIOND_LISTEN: `127.0.0.1:${port}`,
  });
  expect(await other.ended).toBe(1);
  expect(other.stderr()).toContain(`127.0.0.1:${port}`);
  expect(one.stderr()).toContain("SESSIOND_LISTENS is not a variable of this version");
});

describe("with a bootstrap project", () => {
  const environment = () => ({
    ...masterKey,
    DATABASE_URL: database.url,
    SESSIOND_BOOTSTRAP_PROJECT: `bootstrapped:${secret}`,
  });
  const serviceAt = (port: number) => ({
    url: `http://127.0.0.1:${port}`,
    basic: basicAuthorization("bootstrapped", secret),
  });

  test("creates it once with all permissions, and never prints its secret", async () => {
    const first = serveProcess(environment());
    const { token } = await sessionsOf(serviceAt(await first.listening)).create({ memberId: "m" });
    const scope = { case: "project", value: true } as const;
    await sessionsOf(serviceAt(await first.listening)).revokeAll({ scope, validateOnly: true });
    first.signal("SIGTERM");
    expect(await first.ended).toBe(0);

    const second = serveProcess(environment());
    const credential = { case: "token", value: token } as const;
    await sessionsOf(serviceAt(await second.listening)).authenticate({ credential });
    second.signal("SIGINT");
    expect(await second.ended).toBe(0);
    for (const text of [first.stdout(), first.stderr(), second.stdout(), second.stderr()]) {
      expect(text).not.toContain(secret);
      expect(text).not.toContain(token);
    }
  });

  test("reports another secret for an existing project, and changes nothing", async () => {
    const process = serveProcess({
      ...environment(),
      SESSIOND_BOOTSTRAP_PROJECT: "bootstrapped:another-secret",
    });
    const port = await process.listening;
    expect(process.stderr()).toContain("no credential of this project");
    const stranger = { ...serviceAt(port), basic: basicAuthorization("bootstrapped", "another-secret") };
    await expect(sessionsOf(stranger).list({ memberId: "m" })).rejects.toThrow(
      "malformed, unknown or disabled",
    );
    await sessionsOf(serviceAt(port)).list({ memberId: "m" });
  });
});

describe("SIGTERM", () => {
  test("finishes calls in flight, notifies watchers, and exits with 0", async () => {
    const process = serveProcess({
      ...masterKey,
      DATABASE_URL: database.url,
      SESSIOND_BOOTSTRAP_PROJECT: `drained:${secret}`,
    });
    const url = `http://127.0.0.1:${await process.listening}`;
    const sessions = sessionsOf({ url, basic: basicAuthorization("drained", secret) });
    await sessions.create({ memberId: "m" });
    const watched = createClient(Health, createGrpcTransport({ baseUrl: url })).watch({});
    const seen = watched[Symbol.asyncIterator]();
    await seen.next();

    // A revocation waits for the project's row lock, which the test holds while it stops the service.
    const holder = new Client({ connectionString: database.url });
    await holder.connect();
    await holder.query("begin");
    await holder.query("select from project_revisions where project_id = 'drained' for update");
    const inFlight = sessions.revokeAll({ scope: { case: "project", value: true } });
    await expect.poll(() => waiting(holder), { timeout: 10_000 }).toBe(1);

    process.signal("SIGTERM");
    expect(await seen.next()).toMatchObject({ value: { status: 2 } });
    await expect(seen.next()).rejects.toThrow(/\[unavailable\]/);
    await holder.query("commit");
    await holder.end();
    expect((await inFlight).revision).toBe(1n);
    expect(await process.ended).toBe(0);
    expect(process.stderr()).toContain('"stopped"');
  });

  /** Number of connections that wait for a lock. */
  async function waiting(client: Client): Promise<number> {
    const { rows } = await client.query<{ count: string }>(
      "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    return Number(rows[0]?.count);
  }
});
