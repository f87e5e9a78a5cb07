import { type Client, DatabaseError } from "pg";
import { DatabaseFailure } from "./database-errors.ts";
import { type Fence, timelineProbe } from "./statement-texts.ts";

/** Durations that the database keeps, in milliseconds; 0 for no limit. */
export interface SessionLimits {
  /** Longest duration of a statement. */
  readonly statementTimeoutMs: number;
  /** How long the client of an open transaction may be silent. */
  readonly maxSilenceMs: number;
}

/** What the statements of a connection need to know of it. */
export interface Session {
  /** Whether a pooler gives the statements to different server connections. */
  readonly isPooled: boolean;
  readonly fence: Fence;
  /** Statements that begin a write. A statement timeout in milliseconds has to follow. */
  readonly begin: string;
}

/** Error text if no host of the database accepts writes. */
export const standby = "the database takes no writes: it is a standby";

interface ServerFacts {
  readonly pid: number;
  readonly standby: boolean;
  readonly encoding: string;
  readonly arrayNulls: boolean;
  readonly keepsRemoteApply: boolean;
  readonly hasTransactionTimeout: boolean;
}

/** `reset_val` is the default of role and database, even if another user of the pooler has set another value. */
const serverFacts = `
  select pg_backend_pid() as pid, pg_is_in_recovery() as standby, current_setting('server_encoding') as encoding,
    current_setting('array_nulls')::bool as "arrayNulls",
    exists (select from pg_settings where name = 'synchronous_commit' and reset_val = 'remote_apply') as "keepsRemoteApply",
    current_setting('transaction_timeout', true) is not null as "hasTransactionTimeout"`;

/**
 * Prepares a new connection. Rejects a standby even for reads, because it may not have received the newest revocations. Rejects
 * what breaks statements and cannot be changed here, with a message that says how to mend it.
 */
export async function openSession(client: Client, limits: SessionLimits): Promise<Session> {
  const [{ rows }, fence] = await Promise.all([client.query<ServerFacts>(serverFacts), fenceOf(client)]);
  const [facts] = rows;
  if (facts === undefined) throw new DatabaseFailure("the database returned no settings");
  if (facts.standby) throw new DatabaseFailure(standby);
  if (facts.encoding !== "UTF8") {
    throw new DatabaseFailure(
      `the database's encoding is ${facts.encoding}, but sessiond needs UTF8: use a database made by ` +
        "`create database NAME encoding 'UTF8' template template0`",
    );
  }
  const isPooled = !("processID" in client) || client.processID !== facts.pid;
  if (isPooled && !facts.arrayNulls) {
    throw new DatabaseFailure(
      "array_nulls is off for this role, and behind a pooler sessiond cannot change it: " +
        "run `alter role NAME in database NAME set array_nulls = on`, then let the pooler reconnect",
    );
  }
  const synchronousCommit = facts.keepsRemoteApply ? "remote_apply" : "on";
  const own = { synchronous_commit: synchronousCommit, ...ownSettings(limits) };
  await client.query(settingsOf(isPooled ? tracked : { ...tracked, ...own }));
  return { isPooled, fence, begin: beginOf(facts, synchronousCommit, limits) };
}

/** SQLSTATEs: no such function, not supported, not permitted. */
const lacking = new Set(["42883", "0A000", "42501"]);

/** Finds out whether the database has timelines: not every one with Postgres's protocol does. */
async function fenceOf(client: Client): Promise<Fence> {
  try {
    await client.query(timelineProbe);
    return "timeline";
  } catch (error) {
    if (error instanceof DatabaseError && lacking.has(error.code ?? "")) return "recovery";
    throw error;
  }
}

/**
 * Begins a write with all that it depends on, because defaults of the role, the database and the pooler may be anything, and
 * settings of a pooled connection may be lost. A commit is durable here and on synchronous standbys before it is acknowledged;
 * the stronger `remote_apply` is kept. The warning about a commit that no standby has confirmed is not suppressed. If this client
 * fails, the database ends the transaction; otherwise its locks, such as that of a project's revisions, would block other calls.
 */
function beginOf(facts: ServerFacts, synchronousCommit: string, { maxSilenceMs }: SessionLimits): string {
  const settings = [
    `synchronous_commit = ${synchronousCommit}`,
    "client_min_messages = warning",
    "lock_timeout = 0",
    `idle_in_transaction_session_timeout = ${maxSilenceMs}`,
    ...(facts.hasTransactionTimeout ? ["transaction_timeout = 0"] : []),
    "statement_timeout = ",
  ];
  const begin = "begin isolation level read committed read write not deferrable";
  return [begin, ...settings.map((setting) => `set local ${setting}`)].join("; ");
}

/** Settings that PgBouncer keeps for each client, and sets on each server connection that it gives to it. */
const tracked = {
  TimeZone: "UTC",
  // The one format that is parsed fast.
  DateStyle: "ISO, MDY",
  client_encoding: "UTF8",
  standard_conforming_strings: "on",
};

/**
 * Settings of a connection that no other client uses, independent of the defaults of role and database. No promise depends on
 * them. Behind a pooler the role should have them.
 *
 * - Plans: a prepared statement is planned once for all parameters, and with indexes even while its tables are small. Planning
 *   a look-up by id costs Postgres four times as much as running it.
 * - Migrations and other statements outside of the store's calls depend on the timeouts and the isolation level.
 */
export function ownSettings({
  statementTimeoutMs,
  maxSilenceMs,
}: SessionLimits): Readonly<Record<string, string>> {
  return {
    plan_cache_mode: "force_generic_plan",
    enable_seqscan: "off",
    jit: "off",
    default_transaction_isolation: "read committed",
    default_transaction_read_only: "off",
    default_transaction_deferrable: "off",
    client_min_messages: "warning",
    array_nulls: "on",
    bytea_output: "hex",
    extra_float_digits: "1",
    IntervalStyle: "postgres",
    statement_timeout: String(statementTimeoutMs),
    lock_timeout: "0",
    transaction_timeout: "0",
    idle_session_timeout: "0",
    idle_in_transaction_session_timeout: String(maxSilenceMs),
  };
}

/** Sets what this version of the database knows. */
function settingsOf(settings: Readonly<Record<string, string>>): string {
  const wanted = Object.entries(settings).map(([name, value]) => `('${name}', '${value}')`);
  return `select set_config(name, setting, false) from (values ${wanted.join(", ")}) wanted (name, setting)
    where current_setting(name, true) is not null`;
}
