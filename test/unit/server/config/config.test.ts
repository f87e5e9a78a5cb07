import { BlockList } from "node:net";
import { availableParallelism } from "node:os";
import { describe, expect, test } from "vitest";
import type { ProjectId } from "../../../../src/domain/ids.ts";
import {
  type Config,
  connectionsPerReplica,
  connectionsPerWorker,
  readConfig,
  readDatabaseConfig,
} from "../../../../src/server/config/config.ts";
import {
  callerVariableNames,
  configurationTable,
  variableNames,
  variables,
} from "../../../../src/server/config/variables.ts";

const key = Buffer.alloc(32, 1).toString("base64");
const longSecret = "s3cret".repeat(6);

function configOf(environment: Record<string, string>) {
  const read = readConfig(environment);
  if ("problems" in read) throw new Error(read.problems.join("\n"));
  return read;
}

function problemsOf(environment: Record<string, string>): readonly string[] {
  const read = readConfig(environment);
  return "problems" in read ? read.problems : [];
}

const unlimited = { service: undefined, member: undefined, address: undefined };

test.each<[what: string, environment: Record<string, string>, expected: Partial<Config>]>([
  [
    "the embedded default without any variable",
    {},
    {
      databaseUrl: undefined,
      masterKey: undefined,
      dataDirectory: ".sessiond",
      listen: { host: "127.0.0.1", port: 8080 },
      workers: 1,
    },
  ],
  [
    "variables that are empty or blank as absent",
    { SESSIOND_LISTEN: "", DATABASE_URL: " \n", SESSIOND_RETENTION_DAYS: " ", SESSIOND_LOG_LEVEL: "\t" },
    {
      listen: { host: "127.0.0.1", port: 8080 },
      databaseUrl: undefined,
      retentionMs: 90 * 86_400_000,
      logLevel: "info",
    },
  ],
  [
    "values without the white space around them",
    {
      SESSIOND_ISSUER: "https://login.example.com\n",
      SESSIOND_BOOTSTRAP_PROJECT: `acme:${longSecret}\r\n`,
      SESSIOND_LOG_LEVEL: " warn ",
      SESSIOND_DOCS: "off\n",
      SESSIOND_TLS_MIN_VERSION: "1.3\n",
      SESSIOND_WORKERS: " 2",
      SESSIOND_SHUTDOWN_GRACE_MS: "\t500\n",
      SESSIOND_MASTER_KEY: `${key}\n`,
      SESSIOND_DATA_DIR: " data ",
      SESSIOND_STYTCH_SUPPORT_ADDRESS: "help@example.com\n",
    },
    {
      issuer: "https://login.example.com",
      bootstrapProject: { projectId: "acme" as ProjectId, secret: longSecret },
      logLevel: "warn",
      docs: false,
      workers: 2,
      shutdownGraceMs: 500,
      masterKey: Buffer.alloc(32, 1),
      dataDirectory: "data",
    },
  ],
  ["an IPv4 address", { SESSIOND_LISTEN: "127.0.0.1:0" }, { listen: { host: "127.0.0.1", port: 0 } }],
  ["an IPv6 address", { SESSIOND_LISTEN: "[::1]:9000" }, { listen: { host: "::1", port: 9000 } }],
  ["a host name", { SESSIOND_LISTEN: "localhost:65535" }, { listen: { host: "localhost", port: 65_535 } }],
  [
    "every address with TLS",
    { SESSIOND_TLS_CERT_FILE: "tls.crt", SESSIOND_TLS_KEY_FILE: "tls.key", SESSIOND_LISTEN: ":9000" },
    {
      listen: { host: undefined, port: 9000 },
      tls: { certFile: "tls.crt", keyFile: "tls.key", clientCaFile: undefined, minVersion: "TLSv1.2" },
    },
  ],
  ["a number of workers", { SESSIOND_WORKERS: "4" }, { workers: 4 }],
  [
    "a URL as issuer",
    { SESSIOND_ISSUER: "https://login.example.com" },
    { issuer: "https://login.example.com" },
  ],
  ["a worker per CPU core", { SESSIOND_WORKERS: "auto" }, { workers: availableParallelism() }],
  [
    "colons in a bootstrap secret",
    { SESSIOND_BOOTSTRAP_PROJECT: `project-test-1:${"a:b:c:d:".repeat(4)}` },
    { bootstrapProject: { projectId: "project-test-1" as ProjectId, secret: "a:b:c:d:".repeat(4) } },
  ],
  [
    "keys that rotate every 90 days and are published for 10 minutes first",
    {},
    { keySchedule: { rotationPeriodMs: 90 * 86_400_000, publicationDelayMs: 600_000 } },
  ],
  [
    "several master keys",
    { SESSIOND_MASTER_KEYS_ACCEPTED: `${key}, ${key}` },
    { acceptedMasterKeys: [Buffer.alloc(32, 1), Buffer.alloc(32, 1)] },
  ],
  [
    "no limits and no trusted proxies by default",
    {},
    { maxWaiting: 5_000, callRates: unlimited, trustedProxies: undefined },
  ],
  [
    "bursts of ten seconds by default, at least one; a rate of 0 disables a limit",
    {
      SESSIOND_CALLS_PER_SECOND_PER_SERVICE: "100",
      SESSIOND_CALLS_PER_SECOND_PER_MEMBER: "5",
      SESSIOND_CALL_BURST_PER_MEMBER: "7",
      SESSIOND_CALLS_PER_SECOND_PER_ADDRESS: "0.01",
    },
    {
      callRates: {
        service: { perSecond: 100, burst: 1000 },
        member: { perSecond: 5, burst: 7 },
        address: { perSecond: 0.01, burst: 1 },
      },
    },
  ],
  [
    "networks of proxies",
    {
      SESSIOND_TRUSTED_PROXIES: "10.0.0.0/8, 192.0.2.7,::1",
      SESSIOND_TRUSTED_PROXY_HEADER: "forwarded",
    },
    { trustedProxies: { networks: expect.any(BlockList), header: "forwarded" } },
  ],
  ...callerVariableNames.map((name): [string, Record<string, string>, object] => [
    `the variable ${name} of commands`,
    { [name]: "x" },
    {},
  ]),
])("reads %s, without a warning", (_, environment, expected) => {
  const { config, warnings } = configOf(environment);
  expect(config).toEqual(expect.objectContaining(expected));
  expect(warnings).toEqual([]);
});

describe("without TLS", () => {
  test.each(["127.0.0.1:1", "127.8.9.10:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "localhost:1"])(
    "allows %s",
    (listen) => {
      expect(problemsOf({ SESSIOND_LISTEN: listen })).toEqual([]);
    },
  );

  test.each([":1", "0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[::ffff:10.0.0.1]:1", "sessiond.example:1"])(
    "rejects %s unless SESSIOND_ALLOW_PLAINTEXT is on",
    (listen) => {
      expect(problemsOf({ SESSIOND_LISTEN: listen })).toEqual([
        expect.stringMatching(/^SESSIOND_LISTEN: must be a loopback address while there is no TLS/),
      ]);
      expect(problemsOf({ SESSIOND_LISTEN: listen, SESSIOND_ALLOW_PLAINTEXT: "on" })).toEqual([]);
    },
  );
});

describe("TLS towards the database", () => {
  const withMode = (mode: string, url = "postgres://u@h/d") =>
    problemsOf({ DATABASE_URL: url, SESSIOND_MASTER_KEY: key, PGSSLMODE: mode });

  test.each(["verify_full", " verify-full", "verify-full\n", "allow", "VERIFY-FULL"])(
    "PGSSLMODE=%j is refused, which pg would take for no TLS",
    (mode) => {
      expect(withMode(mode)).toEqual([expect.stringMatching(/^PGSSLMODE: must be one of disable, /)]);
    },
  );

  test.each(["", "disable", "require", "verify-full"])("PGSSLMODE=%j is accepted", (mode) => {
    expect(withMode(mode)).toEqual([]);
  });

  test.each([
    "postgres://u@h/d?sslmode=verify_full",
    "postgres://u:a#b@h/d",
    "postgres://u:a/b@h/d",
    "postgres://h:x/d",
  ])("DATABASE_URL=%s is refused", (url) => {
    expect(withMode("", url)).toEqual([expect.stringMatching(/^DATABASE_URL: must be postgres:/)]);
  });
});

test.each([
  ["SESSIOND_TLS_CERT_FILE", "SESSIOND_TLS_KEY_FILE"],
  ["SESSIOND_TLS_KEY_FILE", "SESSIOND_TLS_CERT_FILE"],
  ["SESSIOND_TLS_CLIENT_CA_FILE", "SESSIOND_TLS_CERT_FILE"],
])("%s requires %s", (given, required) => {
  expect(problemsOf({ [given]: "a" })).toEqual([`${required}: is required with ${given}`]);
});

test.each([
  [
    "SESSIOND_LISTEN",
    "host:port",
    ["8080", "127.0.0.1", "::1:8080", "host:65536", "host:-1", "http://127.0.0.1:1", "a host:1", "host: 1"],
  ],
  [
    "SESSIOND_WORKERS",
    "a whole number from 1 to 256, or auto",
    ["0", "-1", "1.5", "257", "max", "+2", "2.0", "2e0", "0x2", "٢"],
  ],
  ["SESSIOND_MASTER_KEY", "32 bytes", [`${key}!`, key.slice(1), `${key}${key}`, key.replace("=", "")]],
  ["SESSIOND_MASTER_KEYS_ACCEPTED", "master keys", [`${key},`, `${key};${key}`, `${key},${key.slice(1)}`]],
  [
    "SESSIOND_CALLS_PER_SECOND_PER_SERVICE",
    "a number",
    ["-1", "1e3", "0x10", ".5", "1.", "Infinity", "1 000"],
  ],
  ["SESSIOND_RETENTION_DAYS", "a whole number", ["1e1", "0x1", "+1", "1.0", "1_0", "-0"]],
  [
    "SESSIOND_BOOTSTRAP_PROJECT",
    "<project_id>:<secret>",
    [
      "ops:hunter2",
      `ops:${"a".repeat(31)}`,
      `ops: ${longSecret}`,
      `ops:${longSecret} x`,
      `:${longSecret}`,
      `o s:${longSecret}`,
      `ops:${"ä".repeat(32)}`,
      `ops:${"a".repeat(256)}`,
    ],
  ],
  ["SESSIOND_CALLS_PER_SECOND_PER_MEMBER", "a number", ["many"]],
  ["SESSIOND_CALL_BURST_PER_ADDRESS", "a whole number", ["0"]],
  ["SESSIOND_CALL_BURST_PER_ADDRESS", "a whole number", ["1.5"]],
  [
    "SESSIOND_TRUSTED_PROXIES",
    "networks separated by commas",
    ["10.0.0.0/33", "::/129", "proxy", "10.0.0.0/8,", "1/8"],
  ],
  ["SESSIOND_DATABASE_MAX_WAITING", "a whole number", ["0"]],
  ["SESSIOND_ISSUER", "up to 255 visible ASCII characters", ["i".repeat(256), "a b", "ä", 'a"', "a\\"]],
])("%s must be %s", (name, accepted, values) => {
  for (const value of values) {
    expect(problemsOf({ [name]: value }), value).toEqual([
      expect.stringMatching(new RegExp(`^${name}: must be ${accepted}`)),
    ]);
  }
});

describe.each(["SESSIOND_ALLOWED_ORIGINS", "SESSIOND_KRATOS_ALLOWED_ORIGINS"])("%s", (name) => {
  test.each([
    "https://app.example.com",
    "http://localhost:3000",
    "http://127.0.0.1:8081",
    "http://[::1]:5173",
    "https://xn--bcher-kva.example",
    " https://a.example ,\thttps://b.example:8443\n",
  ])("accepts %j", (value) => {
    expect(problemsOf({ [name]: value })).toEqual([]);
  });

  test.each([
    "*",
    "null",
    "https://*.example.com",
    "https://*",
    "app.example.com",
    "//app.example.com",
    "https://",
    "https://app.example.com/",
    "https://app.example.com/path",
    "https://app.example.com?a",
    "https://app.example.com#a",
    "https://user@app.example.com",
    "https://APP.example.com",
    "HTTPS://app.example.com",
    "https://bücher.example",
    "https://app.example.com:443",
    "http://app.example.com:80",
    "https://app.example.com:99999",
    "http://127.1",
    "ws://app.example.com",
    "ftp://app.example.com",
    "file:///",
    "chrome-extension://abc",
    "https://a.example https://b.example",
    "https://a.example;https://b.example",
    "https://a.example,",
    ",",
  ])("refuses %j", (value) => {
    for (const text of [value, `https://good.example,${value}`]) {
      expect(problemsOf({ [name]: text })).toEqual([
        expect.stringMatching(new RegExp(`^${name}: must be origins separated by commas, such as `)),
      ]);
    }
  });
});

test("the two lists of origins stay apart", () => {
  const lists = {
    SESSIOND_ALLOWED_ORIGINS: "https://a.example, https://b.example",
    SESSIOND_KRATOS_ALLOWED_ORIGINS: "https://c.example",
  };
  const { allowedOrigins, kratos } = configOf(lists).config;
  expect(allowedOrigins).toEqual(["https://a.example", "https://b.example"]);
  expect(kratos.allowedOrigins).toEqual(["https://c.example"]);
});

describe("all problems are reported at once", () => {
  const wrong = {
    DATABASE_URL: "mysql://u:hunter2@h/d",
    SESSIOND_LISTEN: "nowhere",
    SESSIOND_MASTER_KEY: "c2hvcnQ=",
    SESSIOND_MASTER_KEYS_ACCEPTED: "c2hvcnQ=,c2hvcnQ=",
    SESSIOND_SIGNING_KEY_ROTATION_DAYS: "-1",
    SESSIOND_SIGNING_KEY_PUBLICATION_DELAY_MS: "1999",
    SESSIOND_BOOTSTRAP_PROJECT: "no-colon-hunter2",
    SESSIOND_LOG_LEVEL: "loud",
    SESSIOND_SHUTDOWN_GRACE_MS: "soon",
    SESSIOND_ALLOWED_ORIGINS: "*",
    SESSIOND_KRATOS_PREFIX: "auth/",
    SESSIOND_KRATOS_ALLOWED_ORIGINS: "https://a.example/path",
    SESSIOND_STYTCH_ERROR_URL_BASE: "errors",
  };

  test("by name", () => {
    const names = problemsOf(wrong).map((problem) => problem.split(":", 1)[0]);
    expect(new Set(names)).toEqual(new Set(Object.keys(wrong)));
  });

  test("also those of several variables together", () => {
    const half = { SESSIOND_LOG_LEVEL: "loud", SESSIOND_TLS_CERT_FILE: "tls.crt" };
    expect(problemsOf(half).map((problem) => problem.split(":", 1)[0])).toEqual([
      "SESSIOND_LOG_LEVEL",
      "SESSIOND_TLS_KEY_FILE",
    ]);
  });

  test("without repeating a value", () => {
    const text = problemsOf(wrong).join("\n");
    for (const value of ["hunter2", "c2hvcnQ=", "nowhere", "loud"]) expect(text).not.toContain(value);
  });
});

test.each(Object.keys(variables.shape))("%s must not contain control characters", (name) => {
  for (const character of ["\n", "\r", "\t", "\0", "\u001b", "\u0085", "\u2028"]) {
    const problems = problemsOf({ [name]: `https://a${character}b/` });
    expect(problems, JSON.stringify(character)).toContainEqual(expect.stringMatching(`^${name}: `));
  }
});

test("a control character is named as the problem", () => {
  for (const name of ["SESSIOND_ISSUER", "SESSIOND_DATA_DIR", "SESSIOND_RETENTION_DAYS", "DATABASE_URL"]) {
    expect(problemsOf({ [name]: "a\tb" })).toContain(
      `${name}: must not contain a line break or another control character`,
    );
  }
});

test("the direct URL is that of the database unless it is set", () => {
  const database = { DATABASE_URL: "postgres://pooler/x", SESSIOND_MASTER_KEY: key };
  expect(configOf(database).config.directUrl).toBe("postgres://pooler/x");
  const direct = { ...database, SESSIOND_DATABASE_DIRECT_URL: "postgres://server/x" };
  expect(configOf(direct).config.directUrl).toBe("postgres://server/x");
  const { DATABASE_URL: _, ...without } = direct;
  const problem = "DATABASE_URL: is required with SESSIOND_DATABASE_DIRECT_URL";
  expect(problemsOf(without)).toEqual([problem]);
  expect(readDatabaseConfig(without)).toEqual({ problems: [problem] });
});

test("requires a master key with DATABASE_URL", () => {
  const url = "postgres://localhost/x";
  expect(problemsOf({ DATABASE_URL: url })).toEqual([
    expect.stringMatching(/^SESSIOND_MASTER_KEY: is required/),
  ]);
  expect(configOf({ DATABASE_URL: url, SESSIOND_MASTER_KEY: key }).config.databaseUrl).toBe(url);
});

test("warns of an unknown variable without its value", () => {
  expect(configOf({ SESSIOND_LISTN: "127.0.0.1:1" }).warnings).toEqual([
    "SESSIOND_LISTN is not a variable of this version",
  ]);
});

test("reads the database part without a master key", () => {
  const databaseUrl = "postgres://user@host/database";
  expect(readDatabaseConfig({ DATABASE_URL: databaseUrl, SESSIOND_DATA_DIR: "" })).toEqual({
    config: {
      databaseUrl,
      directUrl: databaseUrl,
      dataDirectory: ".sessiond",
      connectTimeoutMs: 5_000,
      retentionMs: 90 * 86_400_000,
    },
  });
  expect(readDatabaseConfig({ DATABASE_URL: "x", SESSIOND_LISTEN: "wrong too" })).toEqual({
    problems: ["DATABASE_URL: must be postgres://user:password@host:port/database"],
  });
});

test.each([
  [{ maxConnections: 10, workers: 1 }, 10],
  [{ maxConnections: 10, workers: 2 }, 5],
  [{ maxConnections: 10, workers: 3 }, 3],
  [{ maxConnections: 10, workers: 8 }, 2],
])("of %o each worker gets %i connections", (config, share) => {
  expect(connectionsPerWorker(config)).toBe(share);
});

test("the embedded PostgreSQL allows the pools and the listeners of all workers", () => {
  expect(connectionsPerReplica({ maxConnections: 10, workers: 64 })).toBeGreaterThan(64 * (2 + 1));
  expect(connectionsPerReplica({ maxConnections: 1000, workers: 1 })).toBeGreaterThan(1000 + 1);
});

test("the configuration table has a complete row for every variable", () => {
  const rows = configurationTable().trimEnd().split("\n").slice(2);
  expect(rows.map((row) => row.split("`")[1])).toEqual(variableNames);
  for (const row of rows) expect(row).toMatch(/^\| `[A-Z_]+` \| [^|]+ \| (?:`[^|`]+`)? \| [A-Z`][^|]+\. \|$/);
  expect(rows).toContain(
    "| `SESSIOND_WORKERS` | a whole number from 1 to 256, or auto for one per CPU core | `1` | Number of processes that serve on this port. |",
  );
});
