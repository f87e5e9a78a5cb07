// Runs the statements of a straightforward implementation without a server: one prepared statement per call, 128 concurrent
// calls on 10 connections. Receives jobs over IPC.
import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { Pool } from "pg";
import { scattered } from "../load/calls.ts";
import { Tally } from "../load/tally.ts";
import { sessionId, sessionToken } from "../data/numbers.ts";
import { project } from "../sessiond.ts";

/** Find a session by token; mark it as revoked; revoke it as sessiond does, with revision and log. */
export type BareKind = "authenticate" | "update" | "revoke";

/** Statement, sessions and duration. */
export interface BareJob {
  readonly kind: BareKind;
  readonly first: number;
  readonly count: number;
  readonly skip: number;
  readonly seconds: number;
}

const cutoff = (scope: string, target: string) =>
  `(select revision from cutoffs c where c.project_id = s.project_id and c.scope = '${scope}' and c.target_id = ${target})`;
const mark = (revision: string) => `
  update sessions set revoked_revision = ${revision}
  where project_id = $1 and id = $2 and revoked_revision is null returning 1`;

const statements: Readonly<Record<BareKind, string>> = {
  authenticate: `
    select s.*, greatest(${cutoff("member", "s.member_id")}, ${cutoff("organization", "s.organization_id")},
      ${cutoff("project", "s.project_id")}) as cutoff
    from session_tokens t join sessions s on s.project_id = t.project_id and s.id = t.session_id
    where t.project_id = $1 and t.hash = $2`,
  update: mark("1"),
  revoke: `
    with counter as (
      update project_revisions set revision = revision + 1 where project_id = $1 returning revision
    ), logged as (
      insert into revocations (project_id, revision, scope, target_id, revoke_time, cause, reason, actor)
      select $1, revision, 'session', $2::uuid::text, now(), 'unspecified', '', 'service' from counter
    ) ${mark("(select revision from counter)")}`,
};

const pool = new Pool({ connectionString: process.env["DATABASE_URL"], max: 10 });
const tag = process.env["PROJECT_TAG"] ?? "";

async function run({ kind, first, count, skip, seconds }: BareJob): Promise<void> {
  const tally = new Tally();
  const numberOf = scattered(count);
  let made = skip;
  const stop = new AbortController();
  const call = async () => {
    if (made >= count && kind !== "authenticate") throw new Error(`all ${count} sessions have been revoked`);
    const number = first + numberOf(made++);
    const start = performance.now();
    const key =
      kind === "authenticate"
        ? createHash("sha256").update(sessionToken(tag, number)).digest()
        : sessionId(number);
    const { rowCount } = await pool.query({ name: kind, text: statements[kind], values: [project.id, key] });
    if (rowCount !== 1) throw new Error(`${kind} of session ${number} hit ${rowCount} rows`);
    tally.add("ok", start);
  };
  const caller = async () => {
    while (!stop.signal.aborted) await call();
  };
  const callers = Array.from({ length: 128 }, caller);
  await delay(seconds * 1000);
  tally.end();
  stop.abort();
  await Promise.all(callers);
  process.send?.(tally.report());
}

process.on("message", (job: BareJob) => void run(job));
process.channel?.ref();
process.send?.({});
