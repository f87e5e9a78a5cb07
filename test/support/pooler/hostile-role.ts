import { randomBytes } from "node:crypto";
import { onTestFinished } from "vitest";
import { runSql } from "../postgres/sql.ts";

/** Defaults that no statement of the store may depend on. */
const defaults: Readonly<Record<string, string>> = {
  synchronous_commit: "off",
  default_transaction_isolation: "serializable",
  default_transaction_read_only: "on",
  default_transaction_deferrable: "on",
  array_nulls: "off",
  client_min_messages: "error",
  client_encoding: "latin1",
  timezone: "America/St_Johns",
  datestyle: "German, DMY",
  intervalstyle: "sql_standard",
  bytea_output: "escape",
  extra_float_digits: "-5",
  standard_conforming_strings: "off",
  transform_null_equals: "on",
  row_security: "off",
  quote_all_identifiers: "on",
  jit_above_cost: "0",
  enable_indexscan: "off",
  plan_cache_mode: "force_custom_plan",
  force_parallel_mode: "on",
  debug_parallel_query: "on",
  statement_timeout: "2s",
  transaction_timeout: "2s",
  lock_timeout: "100ms",
  idle_in_transaction_session_timeout: "100ms",
  idle_session_timeout: "1s",
};

export interface HostileRole {
  readonly url: string;
  readonly name: string;
  /** Changes one of its defaults, for sessions that start later. */
  set(setting: string, value: string): Promise<void>;
}

/** Creates a role that may use all tables of a database, and whose sessions start with other settings than usual. */
export async function hostileRole(databaseUrl: string): Promise<HostileRole> {
  const name = `hostile_${randomBytes(6).toString("hex")}`;
  const run = (statement: string) => runSql<{ known: boolean }>(databaseUrl, statement);
  const set = async (setting: string, value: string) => {
    await run(`alter role ${name} set ${setting} = '${value}'`);
  };
  await run(`create role ${name} login password 'hostile'`);
  onTestFinished(async () => {
    await run(`drop owned by ${name} cascade`);
    await run(`drop role ${name}`);
  });
  await run(`grant all on all tables in schema public to ${name}`);
  for (const [setting, value] of Object.entries(defaults)) {
    const [row] = await run(`select current_setting('${setting}', true) is not null as known`);
    if (row?.known === true) await set(setting, value);
  }
  const url = Object.assign(new URL(databaseUrl), { username: name, password: "hostile" });
  return { url: url.href, name, set };
}
