// Guards performance, not behaviour: edit it when a refactoring changes statements or plans on purpose.
import { createHash } from "node:crypto";
import { type CompiledQuery, sql } from "kysely";
import { beforeAll, describe, expect, test } from "vitest";
import { type SessionId, parseActingUser } from "../../../src/domain/ids.ts";
import type { Project } from "../../../src/domain/project.ts";
import type { CutoffTarget, SessionTarget } from "../../../src/domain/revocation.ts";
import type { SessionQuery } from "../../../src/domain/store/session-store.ts";
import type { RevocationQuery } from "../../../src/domain/store/revocation-store.ts";
import type { PostgresStore } from "../../../src/storage/postgres-store.ts";
import { type SecretHash, newTokenSalt } from "../../../src/domain/token.ts";
import { KnownStatement } from "../../../src/storage/connection/statement-texts.ts";
import { horizonOf } from "../../../src/storage/purge/horizon.ts";
import { Lease } from "../../../src/storage/schema/lease.ts";
import { purgeLog } from "../../../src/storage/purge/log-batch.ts";
import { purgeRequests } from "../../../src/storage/purge/request-batch.ts";
import { firstSession, purgeSessions } from "../../../src/storage/purge/session-batch.ts";
import { customPlan, genericPlan } from "./query-plan.ts";
import { useStore } from "../../support/postgres/use-store.ts";
import {
  at,
  hour,
  memberId,
  must,
  newRequest,
  newSession,
  organizationId,
  revocationQuery,
  revokeTarget,
  sessionQuery,
  storedProject,
} from "../../support/fixtures/stored.ts";

/** On a database with many sessions. */
const large = useStore();
const small = useStore();
const empty = useStore();
let store: PostgresStore;
let project: Project;

beforeAll(async () => {
  await load(small, 10);
  await load(large, 20_000);
  ({ store } = large);
});

/** Some sessions are revoked by a cutoff of their member, every tenth by name. */
async function load({ db, store }: typeof large, sessionCount: number): Promise<void> {
  for (let i = 0; i < 20; i++) project = await storedProject(store);
  const { id } = project;
  await sql`
    insert into sessions (project_id, id, member_id, organization_id, created_revision, revoked_revision, create_time,
      last_access_time, expire_time, user_agent, ip_address, authentication_factors, roles, custom_claims)
    select ${id}, ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'm' || i % 4000, 'o' || i % 200,
      i, case when i % 10 = 0 then ${sql.lit(sessionCount)} + i end, ${at(0)}::timestamptz, ${at(0)}::timestamptz,
      ${at(hour)}::timestamptz, '', '', '[]', '{}', '{}'
    from generate_series(1, ${sql.lit(sessionCount)}) i`.execute(db);
  await sql`
    insert into session_tokens (project_id, hash, session_id, create_time)
    select project_id, sha256(id::text::bytea), id, create_time from sessions`.execute(db);
  await sql`
    insert into cutoffs (project_id, scope, target_id, revision)
    select ${id}, 'member', 'm' || i % 4000, i * 10 + 1 from generate_series(1, 2000) i`.execute(db);
  await sql`
    insert into revocations (project_id, revision, id, scope, target_id, revoke_time, matter_until_time, cause,
      reason, actor, acting_user)
    select project_id, revoked_revision, gen_random_uuid(), 'session', id::text, create_time,
      now() + interval '61 minutes', 'logout', '', '', ''
    from sessions where revoked_revision is not null
    union all
    select project_id, revision, gen_random_uuid(), 'member', target_id, ${at(0)}::timestamptz,
      now() + interval '61 minutes', 'logout', '', '', '' from cutoffs`.execute(db);
  await sql`update project_revisions set revision = 100000 where project_id = ${id}`.execute(db);
  await sql`
    insert into signing_keys (project_id, kid, algorithm, public_jwk, sealed_private_key, master_key_id, create_time,
      activate_time, retire_time)
    select p.id, 'k' || i, 'ES256', '{}', '', '', ${at(0)}::timestamptz, ${at(0)}::timestamptz,
      case when i > 1 then ${at(0)}::timestamptz end
    from projects p, generate_series(1, 20) i`.execute(db);
  await sql`vacuum analyze`.execute(db);
}

const idOf = (i: number) => `00000000-0000-7000-8000-${i.toString(16).padStart(12, "0")}` as SessionId;
const hashOf = (i: number) => createHash("sha256").update(idOf(i)).digest() as SecretHash;
const tokenOf = (i: number) => ({ tag: project.tag, hash: hashOf(i) });
const find = (i: number) => store.sessions.findSession(project.id, idOf(i));
const findOwner = (i: number) => {
  const named = i % 2 === 0 ? { id: idOf(i) } : { token: tokenOf(i) };
  return store.sessions.findOwner(project.id, { scope: "session", ...named });
};
const list = (overrides: Partial<SessionQuery>) =>
  store.sessions.listSessions(sessionQuery(project, overrides));
const revoke = (target: SessionTarget | CutoffTarget) => revokeTarget(store, project, target);

/** Lists the revocations of an hour. */
const audit = (overrides: Partial<RevocationQuery>) =>
  store.revocations.listRevocations(
    revocationQuery(project, { startTime: at(0), endTime: at(hour), ...overrides }),
  );

const many = Array.from({ length: 100 }, (_, i) => i * 197 + 1);
const each = <T>(run: (i: number) => Promise<T>) => Promise.all(many.map(run));
const member = memberId("m20");
const actingUser = must(parseActingUser("Ada"));
/** A session that no other test uses. */
let last = 2001;
const fresh = () => (last += 3);
const organization = organizationId("o20");
const later = { size: 20, after: idOf(9000) };
/** Plans that were made before any session was revoked. */
const horizon = () => ({ projectId: project.id, time: at(-1), revision: 1 });
const purgeBatch = (dryRun: boolean) => purgeSessions(large.db, horizon(), firstSession, 500, dryRun);
const purgeLogBatch = (dryRun: boolean) => purgeLog(large.db, horizon(), 0, 500, at(0), dryRun);

/** The indexes that find a session, its cutoffs and its revocation. */
const session = "sessions_pkey(project_id, id)";
const cutoffs = "cutoffs_pkey(project_id, scope, target_id)";
const logged = "revocations_pkey(project_id, revision)";
const cutoffLogged = "revocations_by_target(project_id, scope, target_id, revision)";
/** The indexes that find why a session ended. */
const ends = [cutoffs, logged, cutoffLogged];
const byMember = "sessions_by_member(project_id, member_id)";
const laterByMember = "sessions_by_member(project_id, member_id, id)";
const byOrganization = "sessions_by_organization(project_id, organization_id)";
const laterByOrganization = "sessions_by_organization(project_id, organization_id, id)";
const projectKeys = "signing_keys_pkey(project_id)";
const signingKey = "signing_keys_pkey(project_id, kid)";
const revision = "project_revisions_pkey(project_id)";
const token = "session_tokens_pkey(project_id, hash)";
const enabled = "projects_pkey(id)";
const relevantUntil = "revocations_by_matter_until(project_id, matter_until_time)";
const purged = [session, cutoffs, cutoffLogged, "session_tokens_by_session(project_id, session_id)"];
const forgotten = "session_tokens_replaced(project_id, session_id, replace_time)";

/** A call, and the indexes that its statements use. */
type Call = readonly [run: () => Promise<unknown>, accesses: readonly string[]];

const calls: Readonly<Record<string, Call>> = {
  "a look-up by id": [() => find(20), [session, ...ends]],
  "a hundred look-ups by id": [() => each(find), [session, ...ends]],
  "a hundred look-ups by token": [
    () => each((i) => store.sessions.findSessionByToken(tokenOf(i))),
    ["projects_tag_key(tag)", token, session, ...ends],
  ],
  "a look-up of an owner by id": [() => findOwner(20), [session, token]],
  "a hundred look-ups of owners by id and by token": [() => each(findOwner), [session, token]],
  "a look-up of credentials": [
    () => store.projects.findCredentials(project.id),
    [enabled, "service_credentials_pkey(project_id)"],
  ],
  "a signing schedule": [() => store.signingKeys.signingSchedule(project.id, at(0)), [projectKeys]],
  "whether a signing key is good": [() => store.signingKeys.isSigningKeyGood(project.id, "k1"), [signingKey]],
  "a login": [
    () => store.sessions.createSession(newSession(project), hashOf(100_000 + fresh())),
    [revision, enabled],
  ],
  "a login within a limit, which ends the oldest": [
    () =>
      store.sessions.createSessionWithin(
        newSession(project, { memberId: memberId("m22") }),
        hashOf(200_000 + fresh()),
        { max: 1, action: "end_oldest", actor: "" },
      ),
    [byMember, cutoffs, revision, enabled, session],
  ],
  "a login with a request id, and its repeat": [
    async () => {
      const request = newRequest();
      for (const hash of [hashOf(400_000 + fresh()), hashOf(500_000 + fresh())]) {
        await store.sessions.createSessionOnce(newSession(project), hash, request);
      }
    },
    [revision, enabled, "creation_requests_pkey(project_id, request_id)"],
  ],
  "the replacement of a token": [
    () =>
      store.sessions.replaceToken({
        projectId: project.id,
        hash: hashOf(fresh()),
        salt: newTokenSalt(),
        successor: hashOf(300_000 + fresh()),
        time: at(0),
      }),
    [token, "session_tokens_replaced(project_id, session_id)", forgotten],
  ],
  "a list by member": [() => list({ memberId: member }), [byMember, ...ends]],
  "a later page of a list by member": [
    () => list({ memberId: member, page: later }),
    [laterByMember, ...ends],
  ],
  "a list of active sessions by member": [
    () => list({ memberId: member, state: "active" }),
    [byMember, cutoffs],
  ],
  "a list by organization": [() => list({ organizationId: organization }), [byOrganization, ...ends]],
  "a later page of a list by organization": [
    () => list({ organizationId: organization, page: later }),
    [laterByOrganization, ...ends],
  ],
  "a later page of a list of revoked sessions by organization": [
    () => list({ organizationId: organization, state: "revoked", page: later }),
    [laterByOrganization, ...ends],
  ],
  "an extension": [
    () => store.sessions.extendSession(project.id, idOf(3), at(2 * hour), at(0)),
    [session, cutoffs],
  ],
  "whether a member belongs to an organization": [
    () => store.sessions.isMemberOf(project.id, member, organization),
    [byMember],
  ],
  "a count of the active sessions of a member": [
    () => store.revocations.countActive(project.id, { scope: "member", id: member }, at(0)),
    [byMember, cutoffs],
  ],
  "a hundred revocations by id": [
    () => each(() => revoke({ scope: "session", id: idOf(fresh()) })),
    [revision, session, ...ends],
  ],
  "a hundred revocations by token": [
    () => each(() => revoke({ scope: "session", token: tokenOf(fresh()) })),
    [revision, token, session, ...ends],
  ],
  "a cutoff that exempts a session": [
    () => revoke({ scope: "member", id: memberId("m21"), except: idOf(16_021) }),
    [revision, session, cutoffs],
  ],
  "a read of the log for watchers": [
    () => store.revocations.readRevocations(project.id, 99_000, 100),
    [revision, logged],
  ],
  "the head of the log": [
    () => store.revocations.readHead(project.id, 99_000),
    [revision, logged, "project_recoveries_pkey(project_id)"],
  ],
  "the first position that can be resumed": [
    () => store.revocations.oldestResumable(project.id),
    [revision, "revocations_pkey(project_id)", logged],
  ],
  "the start of a snapshot": [
    () => store.revocations.oldestRelevant(project.id, at(0)),
    [revision, relevantUntil, logged],
  ],
  "a list of revocations": [() => audit({}), [logged, relevantUntil]],
  "a later page of a list of revocations of a scope by an actor": [
    () => audit({ scope: "session", actor: "member/a", page: { size: 9, after: "9000" } }),
    [logged, relevantUntil],
  ],
  "a list of revocations of a member": [
    () => audit({ scope: "member", targetId: "m20" }),
    [cutoffLogged, relevantUntil],
  ],
  "a list of revocations of a session": [
    () => audit({ scope: "session", targetId: idOf(20) }),
    [logged, relevantUntil, session],
  ],
  "a list of the revocations that ended sessions of a member": [
    () => audit({ memberId: member }),
    [byMember, logged, cutoffLogged, relevantUntil],
  ],
  "a later page of such a list, for a person and a target": [
    () =>
      audit({
        memberId: member,
        actingUser,
        scope: "member",
        targetId: "m20",
        page: { size: 9, after: "9000" },
      }),
    [byMember, logged, cutoffLogged, relevantUntil],
  ],
  "a list of revocations for a person": [() => audit({ actingUser }), [logged, relevantUntil]],
  "the horizon of a purge": [() => horizonOf(large.db, project.id, at(0)), [relevantUntil]],
  "a batch of sessions to purge": [() => purgeBatch(false), purged],
  "a dry batch of sessions to purge": [() => purgeBatch(true), purged],
  "a batch of creation requests to purge": [
    () => purgeRequests(large.db, project.id, "", 500),
    ["creation_requests_pkey(project_id, request_id)"],
  ],
  "a batch of the log to purge": [() => purgeLogBatch(false), [logged, cutoffs, byMember]],
  "a dry batch of the log to purge": [() => purgeLogBatch(true), [logged, cutoffs]],
  "the purge lease": [
    async () => (await Lease.take(large.db, "purge", { seconds: 120, intervalMs: 0 }))?.release(true),
    ["leases_pkey(name)"],
  ],
};

/** Reads are sent with a fence. */
function asSent(statement: CompiledQuery): CompiledQuery {
  const known = new KnownStatement(statement.sql);
  return known.isSelect ? { ...statement, sql: known.fencedBy("timeline").text } : statement;
}

describe.for([
  ["for any parameters", () => large.db, genericPlan],
  ["for its parameters", () => large.db, customPlan],
  // A prepared statement keeps its plan for a while after the tables have grown.
  ["while the tables are empty", () => empty.db, genericPlan],
  ["while the tables are known to be small", () => small.db, genericPlan],
] as const)("planned %s", ([, db, explain]) => {
  test.for(Object.entries(calls))("%s reads indexes alone", async ([, [call, expected]]) => {
    const statements = await large.statementsOf(call);
    const planned = statements.filter(({ sql: text }) => text !== "commit").map(asSent);
    const plans = await Promise.all(planned.map((statement) => explain(db(), statement)));
    const accesses = [...new Set(plans.flatMap((plan) => plan.accesses))].toSorted();
    const text = plans.map((plan) => plan.text).join("\n\n");
    expect({ accesses, text }).toEqual({ accesses: expected.toSorted(), text });
  });
});

test("the sessions that the plans are made for exist, active and revoked", async () => {
  const found = await Promise.all(many.map((i) => store.sessions.findSessionByToken(tokenOf(i))));
  expect(found.map((one) => one?.session.id)).toEqual(many.map(idOf));
  const scopes = new Set(found.map((one) => one?.session.revocation?.scope));
  expect(scopes).toEqual(new Set([undefined, "session", "member"]));
});
