import type { Diagnosis } from "../../server/operator/diagnosis.ts";
import { type Finding, findingsOf } from "./finding.ts";

const pooler = findingsOf("pooler");
const directUrl = findingsOf("direct-url");
const notifications = findingsOf("notifications");
const privileges = findingsOf("privileges");
const recovery = findingsOf("recovery");
const replicas = findingsOf("replicas");
const leases = findingsOf("leases");
const waits = findingsOf("waits");

/** Checks the paths to the database: that of calls by DATABASE_URL, and the direct one. */
export function checkPaths(diagnosis: Diagnosis): Finding[] {
  return [checkPooler(diagnosis), ...checkDirectUrl(diagnosis), ...checkNotifications(diagnosis)];
}

/** Settings that a role needs if its connections are a pooler's, which sessiond must not change. */
const pooledSettings: Readonly<Record<string, string>> = {
  array_nulls: "on",
  enable_seqscan: "off",
  idle_session_timeout: "0",
  jit: "off",
  plan_cache_mode: "force_generic_plan",
};

function checkPooler({ serving: { facts, identity } }: Diagnosis): Finding {
  if (!facts.isPooled) return pooler.ok("none: sessiond makes the settings of its connections itself");
  const missing = Object.entries(pooledSettings).filter(
    ([name, value]) => (facts.roleSettings[name] ?? value) !== value,
  );
  if (missing.length === 0) return pooler.ok("calls go through one; the settings of the role fit");
  const { role, database } = identity;
  const statements = missing.map(
    ([name, value]) => `alter role ${quoted(role)} in database ${quoted(database)} set ${name} = '${value}';`,
  );
  return pooler.warn(
    `calls go through one, and the role lacks ${missing.map(([name]) => name).join(", ")}, which speed statements up`,
    `run: ${statements.join(" ")} then let the pooler reconnect`,
  );
}

function checkDirectUrl({ facts, identity, serving }: Diagnosis): Finding[] {
  const [direct, served] = [identity, serving.identity];
  const differences = [
    ...(direct.system !== undefined && served.system !== undefined && direct.system !== served.system
      ? ["other servers"]
      : []),
    ...(direct.database === served.database ? [] : [`database ${direct.database}, not ${served.database}`]),
    ...(direct.schema === served.schema
      ? []
      : [`schema ${direct.schema ?? "none"}, not ${served.schema ?? "none"}`]),
  ];
  if (differences.length > 0) {
    return [
      directUrl.fail(
        `SESSIOND_DATABASE_DIRECT_URL leads elsewhere than DATABASE_URL: ${differences.join("; ")}`,
        "let both URLs lead to the same database, with the same search path",
      ),
    ];
  }
  return facts.isPooled
    ? [
        directUrl.warn(
          "migrations and notifications go through a pooler",
          "set SESSIOND_DATABASE_DIRECT_URL to the URL of the database without the pooler",
        ),
      ]
    : [];
}

function checkNotifications({ serving: { notifies } }: Diagnosis): Finding[] {
  if (notifies === undefined) return [];
  if (notifies) return [notifications.ok("notifications of revocations arrive")];
  return [
    notifications.warn(
      "notifications of revocations do not arrive: the logs of watched projects are read every 50 ms instead",
      "set SESSIOND_DATABASE_DIRECT_URL to the URL of this very database without a pooler, or SESSIOND_DATABASE_NOTIFY=off",
    ),
  ];
}

/** Checks what the role of DATABASE_URL may do. */
export function checkPrivileges({ schema, serving: { missing, identity } }: Diagnosis): Finding[] {
  if (schema.state !== "current") return [];
  if (missing.length === 0) return [privileges.ok("the role may read and write all tables")];
  return [
    privileges.fail(
      `the role ${identity.role} may not ${missing.map((one) => `${one.privileges} in ${one.table}`).join("; ")}`,
      `as the owner of the tables, run: ${missing
        .map((one) => `grant ${one.privileges} on ${one.table} to ${quoted(identity.role)};`)
        .join(" ")}`,
    ),
  ];
}

/** A process whose row is older has ended, or cannot reach the database. */
const silentAfterSeconds = 10;

/** Reports the processes of the deployment and what they wait for. */
export function checkActivity({ activity, unfinishedRecovery }: Diagnosis): Finding[] {
  if (activity === undefined) return [];
  const isSilent = (one: { secondsSinceRenewal: number }) => one.secondsSinceRenewal > silentAfterSeconds;
  const serving = activity.replicas.filter((one) => !isSilent(one)).map(({ name }) => name);
  return [
    ...(unfinishedRecovery === undefined
      ? []
      : [
          recovery.fail(
            unfinishedRecovery,
            "run `sessiond recover` again; `serve` refuses to start until then",
          ),
        ]),
    replicas.ok(serving.length === 0 ? "no process serves" : `serving: ${serving.join(", ")}`),
    ...activity.replicas
      .filter(isSilent)
      .map(({ name, secondsSinceRenewal }) =>
        replicas.warn(
          `${name} has not renewed its row for ${Math.round(secondsSinceRenewal)} s`,
          "see whether it still runs and reaches the database; the row of a process that was killed is deleted after a day",
        ),
      ),
    ...activity.leases.map(({ name, process, untilTime }) =>
      leases.ok(`${name}: held by ${process}, until ${untilTime.toISOString()} unless it is renewed`),
    ),
    ...activity.waits.map(({ seconds, blockedBy }) =>
      waits.warn(
        `a statement has waited for a lock for ${Math.round(seconds)} s`,
        `see what the processes ${blockedBy.join(", ")} of the database do: ` +
          "`select pid, application_name, state, query from pg_stat_activity`",
      ),
    ),
  ];
}

function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}
