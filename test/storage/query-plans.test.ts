import { createHash } from "node:crypto";
import { type CompiledQuery, Kysely, PostgresDialect, sql } from "kysely";
import { type CustomTypesConfig, Pool, types } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { SessionId } from "../../src/domain/ids.ts";
import type { Project } from "../../src/domain/project.ts";
import type { SessionQuery, Store } from "../../src/domain/store.ts";
import type { SecretHash } from "../../src/domain/token.ts";
import { postgresStore } from "../../src/storage/postgres-store.ts";
import type { Tables } from "../../src/storage/tables.ts";
import { openStore } from "../support/open-store.ts";
import { at, hour, memberId, orderOf, organizationId, storedProject } from "../support/stored.ts";
import { type TestDatabase, createTestDatabase } from "../support/test-database.ts";

const sessionCount = 20_000;

let database: TestDatabase;
let pool: Pool;
let store: Store;
let project: Project;
/** What the store has asked since the last look. */
let queries: CompiledQuery[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  await load();
  pool = new Pool({ connectionString: database.url, max: 4, types: { getTypeParser } });
  pool.on("error", () => undefined); // a connection that ends with the database is no failure of a test
  const log = (event: { query: CompiledQuery }) => void queries.push(event.query);
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }), log });
  store = postgresStore(db, { onLostAccess: () => undefined, notify: true });
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

/** As the store's own connections read int8. */
const getTypeParser: CustomTypesConfig["getTypeParser"] = (oid, format) =>
  oid === types.builtins.INT8 ? Number : types.getTypeParser(oid, format);

/** Some sessions are dead by a cutoff of their member, every tenth by name. */
async function load(): Promise<void> {
  const loading = openStore(database.url);
  const { db } = loading;
  for (let i = 0; i < 20; i++) project = await storedProject(loading.store);
  const { id } = project;
  await sql`
    insert into sessions
    select ${id}, ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'm' || i % 4000, 'o' || i % 200,
      i, case when i % 10 = 0 then ${sql.lit(sessionCount)} + i end, ${at(0)}::timestamptz, ${at(0)}::timestamptz,
      ${at(hour)}::timestamptz, null, '', '', '[]', '{}', '{}'
    from generate_series(1, ${sql.lit(sessionCount)}) i`.execute(db);
  await sql`
    insert into session_tokens
    select project_id, sha256(id::text::bytea), id, create_time from sessions`.execute(db);
  await sql`
    insert into cutoffs select ${id}, 'member', 'm' || i % 4000, i * 10 + 1 from generate_series(1, 2000) i`.execute(
    db,
  );
  await sql`
    insert into revocations
    select project_id, revoked_revision, 'session', id::text, null, create_time, 'logout', '', ''
    from sessions where revoked_revision is not null`.execute(db);
  await sql`
    insert into revocations
    select project_id, revision, 'member', target_id, null, ${at(0)}::timestamptz, 'logout', '', ''
    from cutoffs`.execute(db);
  await sql`update project_revisions set revision = 100000 where project_id = ${id}`.execute(db);
  await sql`vacuum analyze`.execute(db);
  await loading.close();
}

function idOf(i: number): SessionId {
  return `00000000-0000-7000-8000-${i.toString(16).padStart(12, "0")}` as SessionId;
}

function tokenOf(i: number) {
  return { tag: project.tag, hash: createHash("sha256").update(idOf(i)).digest() as SecretHash };
}

function query(overrides: Partial<SessionQuery>): SessionQuery {
  const page = { size: 50, after: undefined };
  const none = { memberId: undefined, organizationId: undefined, state: undefined };
  return { projectId: project.id, ...none, now: at(0), page, ...overrides };
}

/** The plans of all that `call` asks of the database. */
async function plansOf(call: () => Promise<unknown>): Promise<string> {
  queries = [];
  await call();
  const asked = queries.filter(({ parameters }) => parameters.length > 0);
  const plans = asked.map(async (one) => {
    const { rows } = await pool.query<{ "QUERY PLAN": string }>(`explain (costs off) ${one.sql}`, [
      ...one.parameters,
    ]);
    return rows.map((row) => row["QUERY PLAN"]).join("\n");
  });
  return (await Promise.all(plans)).join("\n\n");
}

const many = Array.from({ length: 100 }, (_, i) => i * 197 + 1);

test.for<[name: string, call: () => Promise<unknown>, index: string]>([
  ["a look-up by id", () => store.findSession(project.id, idOf(20)), "sessions_pkey"],
  [
    "a hundred look-ups by id",
    () => Promise.all(many.map((i) => store.findSession(project.id, idOf(i)))),
    "revocations_by_target",
  ],
  ["a look-up by token", () => store.findSessionByToken(tokenOf(20), "refuse"), "session_tokens_pkey"],
  [
    "a hundred look-ups by token",
    () => Promise.all(many.map((i) => store.findSessionByToken(tokenOf(i), "refuse"))),
    "session_tokens_pkey",
  ],
  ["a list by member", () => store.listSessions(query({ memberId: memberId("m20") })), "sessions_by_member"],
  [
    "a list of active sessions by member",
    () => store.listSessions(query({ memberId: memberId("m20"), state: "active" })),
    "sessions_by_member",
  ],
  [
    "a list by organization",
    () => store.listSessions(query({ organizationId: organizationId("o20") })),
    "sessions_by_organization",
  ],
  [
    "a later page of a list by organization",
    () =>
      store.listSessions(
        query({ organizationId: organizationId("o20"), page: { size: 20, after: idOf(9000) } }),
      ),
    "sessions_by_organization",
  ],
  ["an extension", () => store.extendSession(project.id, idOf(3), at(2 * hour), at(0)), "sessions_pkey"],
  [
    "whether a member belongs to an organization",
    () => store.isMemberOf(project.id, memberId("m20"), organizationId("o20")),
    "sessions_by_member",
  ],
  [
    "a batch of revocations",
    () => Promise.all(many.map((i) => store.revoke(orderOf(project, { scope: "session", id: idOf(i + 1) })))),
    "sessions_pkey",
  ],
  [
    "a cutoff that spares a session",
    () => store.revoke(orderOf(project, { scope: "member", id: memberId("m21"), except: idOf(4021) })),
    "sessions_pkey",
  ],
])("%s reads indexes alone", async ([, call, index]) => {
  const plans = await plansOf(call);
  expect(plans).not.toMatch(/Seq Scan on (sessions|session_tokens|cutoffs|revocations)\b/);
  expect(plans).toContain(index);
});

test("the sessions that the plans are made for are there, alive and dead", async () => {
  const found = await Promise.all(many.map((i) => store.findSessionByToken(tokenOf(i), "accept")));
  expect(found.map((session) => session?.id)).toEqual(many.map(idOf));
  const scopes = new Set(found.map((session) => session?.revocation?.scope));
  expect(scopes).toEqual(new Set([undefined, "session", "member"]));
});
