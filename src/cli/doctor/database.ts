import type { Config, DatabaseConfig } from "../../server/config/config.ts";
import { type Diagnosis, diagnose } from "../../server/operator/diagnosis.ts";
import { DatabaseUnreachable } from "../../server/operator/operator-database.ts";
import { errorText } from "../output/failure.ts";
import { checkActivity, checkPaths, checkPrivileges } from "./deployment.ts";
import { type Finding, findingsOf } from "./finding.ts";

const database = findingsOf("database");
const durability = findingsOf("durability");
const migrations = findingsOf("migrations");
const clock = findingsOf("clock");
const keys = findingsOf("signing-keys");

/** Checks the database. If the configuration is wrong, `config` is undefined and keys are not checked. */
export async function checkDatabase(
  databaseConfig: DatabaseConfig,
  config: Config | undefined,
): Promise<readonly Finding[]> {
  try {
    const diagnosis = await diagnose(databaseConfig, config);
    if (diagnosis === undefined) {
      return [database.ok("no embedded PostgreSQL yet: `sessiond serve` creates it, or set DATABASE_URL")];
    }
    return [
      checkServer(diagnosis),
      ...checkDurability(diagnosis),
      ...checkPaths(diagnosis),
      checkSchema(diagnosis),
      ...checkPrivileges(diagnosis),
      ...checkActivity(diagnosis),
      checkClock(diagnosis),
      ...checkKeys(diagnosis),
    ];
  } catch (error) {
    const mend =
      error instanceof DatabaseUnreachable
        ? "start the database, or correct DATABASE_URL: host, port, user, password and name"
        : "see the README on the embedded default, or set DATABASE_URL";
    return [database.fail(errorText(error), mend)];
  }
}

function checkServer({ facts: { version }, supported }: Diagnosis): Finding {
  if (!supported) return database.fail(`PostgreSQL ${version} is too old`, "use PostgreSQL 14 or newer");
  return database.ok(`PostgreSQL ${version} answers`);
}

function checkDurability({ facts, hosts }: Diagnosis): Finding[] {
  const findings: Finding[] = [];
  const warn = (message: string, mend: string) => findings.push(durability.warn(message, mend));
  if (!facts.fsync) warn("fsync is off: a crash loses acknowledged writes", "turn fsync on in the database");
  if (!facts.fullPageWrites) {
    warn(
      "full_page_writes is off: a crash may damage the database",
      "turn full_page_writes on, unless the file system writes pages atomically",
    );
  }
  if (hosts > 1 && !facts.hasSynchronousStandbys) {
    warn(
      "synchronous_standby_names is empty: a failover may lose revocations that were acknowledged",
      "name the standbys in synchronous_standby_names, or run `sessiond recover` after a failover that lost commits",
    );
  }
  if (findings.length > 0) return findings;
  return [
    durability.ok(
      facts.hasSynchronousStandbys
        ? "committed data survives a crash, and a failover to a synchronous standby"
        : "committed data survives a crash",
    ),
  ];
}

function checkSchema({ schema, servedThoughNewer }: Diagnosis): Finding {
  const names = (state: string) =>
    schema.migrations
      .filter((migration) => migration.state === state)
      .map(({ name }) => name)
      .join(", ");
  switch (schema.state) {
    case "current":
      return migrations.ok("the schema is that of this version");
    case "pending":
      return migrations.warn(
        `pending: ${names("pending")}`,
        "`sessiond migrate` applies them, and so does the next start of `sessiond serve`",
      );
    case "newer":
      if (servedThoughNewer) {
        return migrations.warn(
          `the schema is newer than this version, which can still serve: it has ${names("unknown")}`,
          "run the newer version when its rollout is complete",
        );
      }
      return migrations.fail(
        `the schema is newer than this version: it has ${names("unknown")}`,
        "run the version of the schema, or a newer one",
      );
  }
}

/** Clock offsets above `warn` need attention; above `fail`, verifiers refuse valid JWTs. */
const offsetsMs = { warn: 1_000, fail: 30_000 };

function checkClock({ clock: { offset, uncertainty } }: Diagnosis): Finding {
  const certainMs = Math.abs(offset) - uncertainty;
  const message = `the database's clock is ${Math.abs(Math.round(offset))} ms ${offset < 0 ? "behind" : "ahead"} (± ${Math.ceil(uncertainty)} ms)`;
  const mend = "let both machines follow the same time servers (NTP)";
  if (certainMs > offsetsMs.fail) return clock.fail(message, mend);
  return certainMs > offsetsMs.warn ? clock.warn(message, mend) : clock.ok(message);
}

function checkKeys({ keys: check }: Diagnosis): Finding[] {
  if (check === undefined) return [keys.skip("needs the master key and a current schema")];
  if (check.problems.length > 0) {
    return check.problems.map((problem) => keys.fail(problem, 'see "Change the master key" in the README'));
  }
  const { openable } = check;
  return [
    keys.ok(openable === 0 ? "none yet: created on first use" : `the master key opens all ${openable}`),
  ];
}
