import { everyCallOf } from "../every-call.ts";
import {
  type DeploymentOptions,
  type TrialDatabase,
  startDeployment,
} from "../../chaos/processes/deployment.ts";
import { startChild } from "../../../support/process/child.ts";
import { PostgresServer, postgresPackage } from "../systems/postgres-server.ts";
import type { InfrastructureTrial, Stage } from "../trial.ts";

/** Roles, schemas and encodings that databases come with. */
export const roles: InfrastructureTrial = {
  name: "roles",
  shows:
    "encodings that are refused, a read-only default, least privilege, two schemas, another application's tables",
  packages: [postgresPackage],
  minutes: 5,
  async run({ place, report, started }) {
    const server = await PostgresServer.start(place, "postgres", started);
    await server.sql("create role service login password 'service'");
    await refusedEncodings(server, report);
    await readOnlyDefault(server, report);
    await leastPrivilege(server, report);
    await twoSchemas(server, report);
    await otherApplication(server, report);
  },
};

type Report = Stage["report"];

async function refusedEncodings(server: PostgresServer, report: Report): Promise<void> {
  for (const encoding of ["LATIN1", "SQL_ASCII"]) {
    const name = encoding.toLowerCase();
    await server.sql(
      `create database ${name} owner service encoding '${encoding}' locale 'C' template template0`,
    );
    const said = await servingFails(databaseOf(server, name));
    const isRefused = said !== undefined && said.includes(encoding) && said.includes("UTF8");
    report(`${encoding} database`, { said }, isRefused ? [] : ["it is not refused with its encoding's name"]);
  }
}

async function readOnlyDefault(server: PostgresServer, report: Report): Promise<void> {
  await server.sql("create database read_only owner service");
  await server.sql("alter database read_only set default_transaction_read_only = on");
  await everyCall("read-only default of the database", databaseOf(server, "read_only"), report);
}

async function leastPrivilege(server: PostgresServer, report: Report): Promise<void> {
  await server.sql("create database least owner service");
  await server.sql("create role reader_writer login password 'reader_writer'");
  const owned = await startDeployment({ replicas: 1, database: databaseOf(server, "least") });
  await owned.stop();
  const sql = server.sqlIn("least");
  await sql("grant usage on schema public to reader_writer");
  await sql("grant select, insert, update, delete on all tables in schema public to reader_writer");
  await sql("grant usage on all sequences in schema public to reader_writer");
  const url = server.urlOf("least", "reader_writer", "reader_writer");
  const database = { ...databaseOf(server, "least"), url };
  await everyCall("migrated by the owner, served with least privilege", database, report, owned.options);
}

async function twoSchemas(server: PostgresServer, report: Report): Promise<void> {
  await server.sql("create database schemas");
  for (const name of ["one", "two"]) {
    await server.sql(`create role ${name} login password '${name}'`);
    await server.sqlIn("schemas")(`create schema ${name} authorization ${name}`);
    await server.sql(`alter role ${name} in database schemas set search_path = ${name}`);
    const url = server.urlOf("schemas", name, name);
    await everyCall(`schema ${name} of two`, { ...databaseOf(server, "schemas"), url }, report);
  }
  await noTablesInPublic(server, "schemas", report);
}

async function noTablesInPublic(server: PostgresServer, database: string, report: Report): Promise<void> {
  const found = await server.sqlIn(database)<{ tablename: string }>(
    "select tablename from pg_tables where schemaname = 'public'",
  );
  const names = found.map(({ tablename }) => tablename);
  report("tables in public", { names }, names.length > 0 ? [`there are ${names.join(", ")}`] : []);
}

/** Tables whose names migration tools and services like to use. */
const foreignTables = ["schema_migrations", "sessions", "projects", "revocations", "signing_keys"];

async function otherApplication(server: PostgresServer, report: Report): Promise<void> {
  await server.sql("create database shared");
  const sql = server.sqlIn("shared");
  for (const table of foreignTables) await sql(`create table ${table} (version text primary key)`);
  await sql("grant select on all tables in schema public to service");
  await sql("create schema service authorization service");
  await server.sql("alter role service in database shared set search_path = service, public");
  await everyCall("another application's tables in public", databaseOf(server, "shared"), report);
  const problems: string[] = [];
  for (const table of foreignTables) {
    const columns = await sql(
      "select from information_schema.columns where table_schema = 'public' and table_name = $1",
      table,
    );
    if (columns.length !== 1) problems.push(`the other application's ${table} has ${columns.length} columns`);
  }
  report("the other application's tables", {}, problems);
}

function databaseOf(server: PostgresServer, name: string): TrialDatabase {
  return {
    url: server.urlOf(name, "service", "service"),
    sql: server.sqlIn(name),
    crash: () => server.crash(),
  };
}

/** Starts a replica twice, and makes each call once. */
async function everyCall(
  part: string,
  database: TrialDatabase,
  report: Report,
  keys?: DeploymentOptions["keys"],
): Promise<void> {
  try {
    const deployment = await startDeployment({
      replicas: 1,
      database,
      ...(keys === undefined ? {} : { keys }),
    });
    try {
      await deployment.replicas[0]?.kill();
      await deployment.replicas[0]?.start();
      report(part, {}, await everyCallOf(deployment));
    } finally {
      await deployment.stop();
    }
  } catch (error) {
    report(part, {}, [`the service does not start: ${String(error)}`]);
  }
}

/** What `sessiond serve` says if it does not start. */
async function servingFails({ url }: TrialDatabase): Promise<string | undefined> {
  const child = startChild("src/cli/main.ts", ["serve"], {
    DATABASE_URL: url,
    SESSIOND_MASTER_KEY: Buffer.alloc(32, 7).toString("base64"),
    SESSIOND_LISTEN: "127.0.0.1:0",
  });
  const started = await child.printed(/listens on/).then(
    () => true,
    () => false,
  );
  await child.kill();
  return started ? undefined : child.errorLines.join(" ");
}
