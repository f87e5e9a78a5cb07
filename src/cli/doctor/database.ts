import type { Config, DatabaseConfig } from "../../server/config/config.ts";
import { type Diagnosis, diagnose } from "../../server/operator/diagnosis.ts";
import { DatabaseUnreachable } from "../../server/operator/operator-database.ts";
import { inWords } from "../output/in-words.ts";
import { type Finding, findingsOf } from "./finding.ts";

const database = findingsOf("database");
const durability = findingsOf("durability");
const migrations = findingsOf("migrations");
const clock = findingsOf("clock");
const keys = findingsOf("signing-keys");

/** Whether the database is there, and fit. `config` is undefined where it is wrong: then keys are not looked at. */
export async function checkDatabase(
  where: DatabaseConfig,
  config: Config | undefined,
): Promise<readonly Finding[]> {
  try {
    const diagnosis = await diagnose(where, config);
    if (diagnosis === undefined) {
      return [database.ok("no embedded PostgreSQL yet: `sessiond serve` makes it, or set DATABASE_URL")];
    }
    return [
      ...ofServer(diagnosis),
      ...ofDurability(diagnosis),
      ofSchema(diagnosis),
      ofClock(diagnosis),
      ...ofKeys(diagnosis),
    ];
  } catch (error) {
    const mend =
      error instanceof DatabaseUnreachable
        ? "start the database, or correct DATABASE_URL: host, port, user, password and name"
        : "see the README on the embedded default, or set DATABASE_URL";
    return [database.fail(inWords(error), mend)];
  }
}

function ofServer({ facts, supported }: Diagnosis): Finding[] {
  if (!supported) {
    return [database.fail(`PostgreSQL ${facts.version} is too old`, "use PostgreSQL 14 or newer")];
  }
  if (facts.readOnly) {
    return [
      database.fail(`PostgreSQL ${facts.version} takes no writes`, "have DATABASE_URL name the primary"),
    ];
  }
  return [database.ok(`PostgreSQL ${facts.version} answers`)];
}

function ofDurability({ facts }: Diagnosis): Finding[] {
  const findings: Finding[] = [];
  if (!facts.fsync) {
    findings.push(
      durability.warn("fsync is off: a crash loses what was acknowledged", "turn fsync on in the database"),
    );
  }
  if (!facts.fullPageWrites) {
    findings.push(
      durability.warn(
        "full_page_writes is off: a crash may damage the database",
        "turn full_page_writes on, unless the file system writes pages whole",
      ),
    );
  }
  if (!["on", "remote_apply"].includes(facts.synchronousCommit)) {
    findings.push(
      durability.warn(
        `synchronous_commit is ${facts.synchronousCommit}, though sessiond asks for on: what was acknowledged may be lost`,
        "have the pooler keep a connection's settings (session pooling), or set synchronous_commit = on for the user",
      ),
    );
  }
  return findings.length > 0 ? findings : [durability.ok("what is committed stays")];
}

function ofSchema({ schema, servedThoughNewer }: Diagnosis): Finding {
  const named = (state: string) =>
    schema.migrations.filter((migration) => migration.state === state).map(({ name }) => name);
  switch (schema.state) {
    case "current":
      return migrations.ok("the schema is that of this version");
    case "pending":
      return migrations.warn(
        `pending: ${named("pending").join(", ")}`,
        "`sessiond migrate` applies them, and so does the next start of `sessiond serve`",
      );
    case "newer":
      if (servedThoughNewer) {
        return migrations.warn(
          `the schema is newer than this version, which may still serve: it has ${named("unknown").join(", ")}`,
          "run the version that made it, once it is rolled out",
        );
      }
      return migrations.fail(
        `the schema is newer than this version: it has ${named("unknown").join(", ")}`,
        "run the version that made it, or a newer one",
      );
  }
}

/** Milliseconds that clocks may differ by: beyond the first, look after them; beyond the second, verifiers refuse good JWTs. */
const offsets = { warn: 1_000, fail: 30_000 };

function ofClock({ clock: { offset, uncertainty } }: Diagnosis): Finding {
  const sure = Math.max(0, Math.abs(offset) - uncertainty);
  const words = `the database's clock is ${Math.abs(Math.round(offset))} ms ${offset < 0 ? "behind" : "ahead"} (± ${Math.ceil(uncertainty)} ms)`;
  const mend = "have both machines follow the same time servers (NTP)";
  if (sure > offsets.fail) return clock.fail(words, mend);
  return sure > offsets.warn ? clock.warn(words, mend) : clock.ok(words);
}

function ofKeys({ keys: check }: Diagnosis): Finding[] {
  if (check === undefined) return [keys.skip("needs the master key and a current schema")];
  if (check.problems.length > 0) {
    return check.problems.map((problem) => keys.fail(problem, 'see "Change the master key" in the README'));
  }
  return [
    keys.ok(
      check.openable === 0 ? "none yet: made on first use" : `the master key opens all ${check.openable}`,
    ),
  ];
}
