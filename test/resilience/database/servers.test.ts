import { once } from "node:events";
import { type AddressInfo, type Socket, connect, createServer } from "node:net";
import { sql } from "kysely";
import { expect, onTestFinished, test } from "vitest";
import { DatabaseFailure, withDatabaseErrors } from "../../../src/storage/connection/database-errors.ts";
import { Hosts } from "../../../src/storage/connection/hosts.ts";
import type { ServerGuard } from "../../../src/storage/connection/server-guard.ts";
import { unlimited } from "../../../src/transport/call-context.ts";
import { hashSecret } from "../../../src/domain/token.ts";
import {
  newSession,
  orderOf,
  revokeTarget,
  storedProject,
  storedSession,
} from "../../support/fixtures/stored.ts";
import { openStore } from "../../support/postgres/open-store.ts";
import { SentStatements } from "../../support/postgres/postgres-messages.ts";
import { startRelay } from "../../support/postgres/relay.ts";
import { databaseUrl, runSql } from "../../support/postgres/sql.ts";
import { databaseOfTest } from "../../support/postgres/test-database.ts";

const unavailable = (message: string) => ({
  reason: "DATABASE_UNAVAILABLE",
  cause: { message: expect.stringContaining(message) },
});

function open(...[url, limits]: Parameters<typeof openStore>) {
  const opened = openStore(url, limits);
  onTestFinished(() => opened.close());
  return opened;
}

test("the guard sees the timeline of each read, and nothing else", async () => {
  const seen: (number | undefined)[] = [];
  const guard: ServerGuard = { admit: (timeline) => (seen.push(timeline), "use") };
  const { store } = open(await databaseOfTest(), { guard });
  const project = await storedProject(store);
  const { session } = await storedSession(store, project);
  expect(seen).toEqual([]);
  expect(await store.sessions.findSession(project.id, session.id)).toEqual(session);
  expect(await store.sessions.findSession(project.id, newSession(project).id)).toBeUndefined();
  expect(seen).toEqual([1, 1]);
  await revokeTarget(store, project, { scope: "session", id: session.id });
  expect(seen).toEqual([1, 1, 1]); // for the snapshot that the receipt rests on
});

test("a read runs again if the guard says so, but a few times only", async () => {
  const answers: ("use" | "repeat")[] = ["repeat", "use"];
  let asked = 0;
  const guard: ServerGuard = { admit: () => (asked++, answers.shift() ?? "repeat") };
  const { store } = open(await databaseOfTest(), { guard });
  const project = await storedProject(store);
  expect(await store.projects.findProject(project.id)).toEqual(project);
  expect(asked).toBe(2);
  await expect(store.projects.findProject(project.id)).rejects.toMatchObject(unavailable("newer primary"));
  expect(asked).toBe(5);
});

test("an answer that the guard refuses is not used, and writes continue", async () => {
  const guard: ServerGuard = {
    admit() {
      throw new DatabaseFailure("refused by the guard");
    },
  };
  const { store, connectionErrors } = open(await databaseOfTest(), { guard });
  const project = await storedProject(store);
  const { session } = await storedSession(store, project);
  await expect(store.ping()).rejects.toMatchObject(unavailable("refused by the guard"));
  const finding = store.sessions.findSession(project.id, session.id);
  await expect(finding).rejects.toMatchObject(unavailable("refused by the guard"));
  expect(connectionErrors).toEqual([]);
});

/** A proxy that records the statements which arrive together. */
async function recordWrites(targetUrl: string) {
  const url = new URL(targetUrl);
  const port = Number(url.port);
  const writes: string[][] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (inbound) => {
    const sent = new SentStatements();
    const outbound = connect({ port, host: url.hostname, noDelay: true });
    for (const socket of [inbound, outbound]) sockets.add(socket.on("error", () => undefined));
    inbound.on("data", (chunk) => {
      writes.push([...sent.read(chunk)].flatMap(({ statement }) => statement ?? []));
      outbound.write(chunk);
    });
    outbound.pipe(inbound);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  url.port = String((server.address() as AddressInfo).port);
  return { url: url.href, writes };
}

test.each([undefined, 5_000])(
  "a write and its commit are sent at once, so that no lock waits for this process; with deadline %s",
  async (ms) => {
    const { url, writes } = await recordWrites(await databaseOfTest());
    const { store } = open(url, { maxConnections: 1 });
    const project = await storedProject(store);
    const call = { ...unlimited, deadline: ms === undefined ? Infinity : performance.now() + ms };
    const draft = newSession(project);
    await store.sessions.createSession(draft, hashSecret(draft.id), call);
    writes.length = 0;
    await store.revocations.revoke(orderOf(project, { scope: "session", id: draft.id }), call);
    expect(writes.map((statements) => statements.length)).toEqual([1, 3]);
    expect(writes[1]).toEqual([
      expect.stringMatching(
        /^begin isolation level read committed read write not deferrable; set local synchronous_commit = on;.* set local statement_timeout = \d+$/,
      ),
      expect.stringContaining("update project_revisions"),
      "commit",
    ]);
  },
);

test("if one connection finds its host silent, the others are not found silent one by one", async () => {
  const relay = await startRelay(await databaseOfTest());
  onTestFinished(() => relay.close());
  const limits = { maxConnections: 4, connectTimeoutMs: 1000, statementTimeoutMs: 1000 };
  const hosts = new Hosts(relay.url);
  const [one, other] = [open(hosts, limits), open(hosts, limits)];
  const project = await storedProject(one.store);
  const useAll = ({ db }: typeof one) =>
    Promise.all(Array.from({ length: 4 }, () => sql`select pg_sleep(0.1)`.execute(db)));
  await Promise.all([useAll(one), useAll(other)]);
  relay.fallSilent();
  relay.mend();
  await expect(one.store.projects.findProject(project.id)).rejects.toMatchObject(unavailable("silent"));
  const asked = performance.now();
  await Promise.all([useAll(one), useAll(other)]);
  expect(performance.now() - asked).toBeLessThan(limits.statementTimeoutMs);
});

test.each([
  [
    "a name that the server does not have",
    (url: URL) => (url.pathname = "/no_such_database"),
    "no database of the name",
  ],
  ["a wrong password", (url: URL) => (url.password = "wrong"), "refuses the user or the password"],
  [
    "TLS with a server that has none",
    (url: URL) => (url.search = "?sslmode=verify-full"),
    "TLS towards the database failed",
  ],
  ["a closed port", (url: URL) => (url.port = "1"), "does not answer"],
])("the cause of an outage says what failed: %s", async (_name, change, message) => {
  const url = new URL(await databaseOfTest());
  change(url);
  const { store } = open(url.href);
  await expect(store.ping()).rejects.toMatchObject(unavailable(message));
});

test.each(["LATIN1", "SQL_ASCII"])("a database with the encoding %s is refused", async (encoding) => {
  const cluster = await databaseOfTest();
  const name = `encoded_${encoding.toLowerCase()}_${Date.now()}`;
  await runSql(cluster, `create database ${name} encoding '${encoding}' locale 'C' template template0`);
  onTestFinished(async () => void (await runSql(cluster, `drop database ${name} with (force)`)));
  const { db } = open(databaseUrl(cluster, name));
  const asking = withDatabaseErrors(() => sql`select 1`.execute(db));
  await expect(asking).rejects.toMatchObject(unavailable("template template0"));
});

/** Makes the first logins of a database fail. Returns the number of attempts. */
async function failFirst(url: string, times: number, code: string) {
  await runSql(url, "create sequence attempts");
  await runSql(
    url,
    `create function fail() returns trigger language plpgsql as $$ begin
       if nextval('attempts') <= ${times} then raise exception 'not now' using errcode = '${code}'; end if;
       return new; end $$`,
  );
  await runSql(url, "create trigger fail before insert on sessions execute function fail()");
  return async () => (await runSql<{ n: string }>(url, "select last_value as n from attempts"))[0]?.n;
}

test.each([
  ["40001", 3, "answered", "4"],
  ["40P01", 3, "answered", "4"],
  ["40001", 4, "DATABASE_UNAVAILABLE", "4"],
  ["40003", 1, "DATABASE_UNAVAILABLE", "1"],
  ["08006", 1, "DATABASE_UNAVAILABLE", "1"],
  ["57P01", 1, "DATABASE_UNAVAILABLE", "1"],
  ["55P03", 1, "DATABASE_UNAVAILABLE", "1"],
] as const)("%s that happens %s times: %s, after %s attempts", async (code, times, outcome, attempts) => {
  const url = await databaseOfTest();
  const { store } = open(url);
  const project = await storedProject(store);
  const attempted = await failFirst(url, times, code);
  const login = storedSession(store, project).then(
    () => "answered",
    (error: { reason?: string }) => error.reason,
  );
  expect(await login).toBe(outcome);
  expect(await attempted()).toBe(attempts);
});
