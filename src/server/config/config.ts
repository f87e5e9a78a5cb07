import { readFileSync } from "node:fs";
import { BlockList, isIP } from "node:net";
import { z } from "zod";
import { type MasterKeys, masterKeyOf } from "../../domain/keys/sealing.ts";
import { type ProcessEnvironment, givenVariables } from "./environment.ts";
import { sslModes } from "./variable-forms.ts";
import { callerVariableNames, variableNames, variables } from "./variables.ts";

const dayMs = 86_400_000;

const tlsVersions = { "1.2": "TLSv1.2", "1.3": "TLSv1.3" } as const;

/** The configuration of a server, documented with the variables. */
export type Config = ReturnType<typeof toConfig>;

/** A configuration, or everything that is wrong with the environment. */
export type ConfigResult =
  | { readonly config: Config; readonly warnings: readonly string[] }
  | { readonly problems: readonly string[] };

/** Reads the environment. No problem repeats a value, because it may be a secret. */
export function readConfig(environment: ProcessEnvironment): ConfigResult {
  const given = givenVariables(environment);
  const { success, data, error } = variables.safeParse(given);
  const problems = [
    ...problemsOf(error),
    ...combinedProblemsOf(given),
    ...sslProblemsOf(given, environment["PGSSLMODE"]),
  ];
  if (!success || problems.length > 0) return { problems };
  const unknown = Object.keys(given).filter((name) => !known.has(name));
  return {
    config: toConfig(data),
    warnings: unknown.map((name) => `${name} is not a variable of this version`),
  };
}

const known: ReadonlySet<string> = new Set([...variableNames, ...callerVariableNames]);

/** The part of the configuration that commands on the database need. */
export type DatabaseConfig = ReturnType<typeof toDatabaseConfig>;

/** Reads that part alone, without requiring the rest of the environment to be valid. */
export function readDatabaseConfig(
  environment: ProcessEnvironment,
): { readonly config: DatabaseConfig } | { readonly problems: readonly string[] } {
  const given = givenVariables(environment);
  const { success, data, error } = databaseVariables.safeParse(given);
  const problems = [
    ...problemsOf(error),
    ...missingWith(given, ["DATABASE_URL"]),
    ...sslProblemsOf(given, environment["PGSSLMODE"]),
  ];
  return success && problems.length === 0 ? { config: toDatabaseConfig(data) } : { problems };
}

/** Reads SESSIOND_MASTER_KEY alone; undefined if it is not set. */
export function readMasterKey(
  environment: ProcessEnvironment,
): { readonly masterKey: Buffer | undefined } | { readonly problems: readonly string[] } {
  const { success, data, error } = masterKeyVariable.safeParse(givenVariables(environment));
  return success ? { masterKey: data.SESSIOND_MASTER_KEY } : { problems: problemsOf(error) };
}

const masterKeyVariable = variables.pick({ SESSIOND_MASTER_KEY: true });

const databaseVariables = variables.pick({
  DATABASE_URL: true,
  SESSIOND_DATABASE_DIRECT_URL: true,
  SESSIOND_DATA_DIR: true,
  SESSIOND_DATABASE_CONNECT_TIMEOUT_MS: true,
  SESSIOND_RETENTION_DAYS: true,
});

function problemsOf(error: z.ZodError | undefined): string[] {
  return (error?.issues ?? []).map((issue) => `${issue.path.join(".")}: ${issue.message}`);
}

/** Variables that require another one. */
const requirements: readonly (readonly [given: string, required: string, hint?: string])[] = [
  ["SESSIOND_DATABASE_DIRECT_URL", "DATABASE_URL"],
  [
    "DATABASE_URL",
    "SESSIOND_MASTER_KEY",
    ": 32 bytes in base64. `openssl rand -base64 32` makes one; keep it, and give it to every replica",
  ],
  ["SESSIOND_TLS_KEY_FILE", "SESSIOND_TLS_CERT_FILE"],
  ["SESSIOND_TLS_CERT_FILE", "SESSIOND_TLS_KEY_FILE"],
  ["SESSIOND_TLS_CLIENT_CA_FILE", "SESSIOND_TLS_CERT_FILE"],
];

/** Problems of variables that are missing although one that needs them is given; of these variables, by default of all. */
function missingWith(given: ProcessEnvironment, names: readonly string[] = variableNames): readonly string[] {
  return requirements
    .filter(([name, required]) => given[name] !== undefined && given[required] === undefined)
    .filter(([, required]) => names.includes(required))
    .map(([name, required, hint = ""]) => `${required}: is required with ${name}${hint}`);
}

/** The variable of libpq that decides about TLS if DATABASE_URL does not. A mistyped one would mean none. */
function sslProblemsOf(given: ProcessEnvironment, mode = ""): readonly string[] {
  if (given["DATABASE_URL"] === undefined || mode === "" || sslModes.has(mode)) return [];
  return [`PGSSLMODE: must be one of ${[...sslModes].join(", ")}`];
}

/** Problems of several variables together, found even if others are wrong. */
function combinedProblemsOf(given: ProcessEnvironment): readonly string[] {
  const problems = [...missingWith(given)];
  const hasTls = (given["SESSIOND_TLS_CERT_FILE"] ?? given["SESSIOND_TLS_KEY_FILE"]) !== undefined;
  const listen = variables.shape.SESSIOND_LISTEN.safeParse(given["SESSIOND_LISTEN"]).data;
  const isExposed = listen !== undefined && !hasTls && !isLoopback(listen.host);
  if (isExposed && given["SESSIOND_ALLOW_PLAINTEXT"] !== "on") {
    problems.push(
      "SESSIOND_LISTEN: must be a loopback address while there is no TLS: set SESSIOND_TLS_CERT_FILE and " +
        "SESSIOND_TLS_KEY_FILE, or SESSIOND_ALLOW_PLAINTEXT=on if a proxy or mesh in front encrypts",
    );
  }
  return problems;
}

function toDatabaseConfig(read: z.output<typeof databaseVariables>) {
  return {
    /** Undefined: the embedded PostgreSQL in `dataDirectory`. */
    databaseUrl: read.DATABASE_URL,
    /** For what needs a connection of its own: notifications, migrations, commands of operators. */
    directUrl: read.SESSIOND_DATABASE_DIRECT_URL ?? read.DATABASE_URL,
    dataDirectory: read.SESSIOND_DATA_DIR,
    connectTimeoutMs: read.SESSIOND_DATABASE_CONNECT_TIMEOUT_MS,
    /** 0: forever. */
    retentionMs: read.SESSIOND_RETENTION_DAYS * dayMs,
  };
}

function toConfig(read: z.output<typeof variables>) {
  return {
    ...toDatabaseConfig(read),
    listen: read.SESSIOND_LISTEN,
    /** Undefined: no metrics. */
    metricsListen: read.SESSIOND_METRICS_LISTEN,
    workers: read.SESSIOND_WORKERS,
    tls: toTlsConfig(read),
    bootstrapProject: read.SESSIOND_BOOTSTRAP_PROJECT,
    /** Undefined: read from `dataDirectory`. */
    masterKey: read.SESSIOND_MASTER_KEY,
    acceptedMasterKeys: read.SESSIOND_MASTER_KEYS_ACCEPTED ?? [],
    keySchedule: {
      rotationPeriodMs: read.SESSIOND_SIGNING_KEY_ROTATION_DAYS * dayMs,
      publicationDelayMs: read.SESSIOND_SIGNING_KEY_PUBLICATION_DELAY_MS,
    },
    issuer: read.SESSIOND_ISSUER,
    logLevel: read.SESSIOND_LOG_LEVEL,
    /** Of all workers together. */
    maxConnections: read.SESSIOND_DATABASE_MAX_CONNECTIONS,
    statementTimeoutMs: read.SESSIOND_DATABASE_STATEMENT_TIMEOUT_MS,
    notify: read.SESSIOND_DATABASE_NOTIFY === "on",
    preparedStatements: read.SESSIOND_DATABASE_PREPARED_STATEMENTS === "on",
    maxWaiting: read.SESSIOND_DATABASE_MAX_WAITING,
    callRates: {
      service: rateOf(read.SESSIOND_CALLS_PER_SECOND_PER_SERVICE, read.SESSIOND_CALL_BURST_PER_SERVICE),
      member: rateOf(read.SESSIOND_CALLS_PER_SECOND_PER_MEMBER, read.SESSIOND_CALL_BURST_PER_MEMBER),
      address: rateOf(read.SESSIOND_CALLS_PER_SECOND_PER_ADDRESS, read.SESSIOND_CALL_BURST_PER_ADDRESS),
    },
    /** Undefined: no proxy is trusted. */
    trustedProxies: read.SESSIOND_TRUSTED_PROXIES && {
      networks: read.SESSIOND_TRUSTED_PROXIES,
      header: read.SESSIOND_TRUSTED_PROXY_HEADER,
    },
    maxMessageBytes: read.SESSIOND_MAX_MESSAGE_BYTES,
    shutdownGraceMs: read.SESSIOND_SHUTDOWN_GRACE_MS,
    /** Origins for everything but the Kratos API. */
    allowedOrigins: read.SESSIOND_ALLOWED_ORIGINS ?? [],
    docs: (read.SESSIOND_DOCS ?? (isLoopback(read.SESSIOND_LISTEN.host) ? "on" : "off")) === "on",
    kratos: {
      prefix: read.SESSIOND_KRATOS_PREFIX,
      cookieName: read.SESSIOND_KRATOS_COOKIE,
      allowedOrigins: read.SESSIOND_KRATOS_ALLOWED_ORIGINS ?? [],
    },
    stytch: {
      errorUrlBase: read.SESSIOND_STYTCH_ERROR_URL_BASE,
      supportAddress: read.SESSIOND_STYTCH_SUPPORT_ADDRESS,
    },
  };
}

/** Undefined: no limit. The default burst is what the rate allows in ten seconds, at least one. */
function rateOf(perSecond: number, burst = Math.max(1, 10 * perSecond)) {
  return perSecond === 0 ? undefined : { perSecond, burst };
}

function toTlsConfig(read: z.output<typeof variables>) {
  const { SESSIOND_TLS_CERT_FILE: certFile, SESSIOND_TLS_KEY_FILE: keyFile } = read;
  if (certFile === undefined || keyFile === undefined) return undefined;
  const clientCaFile = read.SESSIOND_TLS_CLIENT_CA_FILE;
  return { certFile, keyFile, clientCaFile, minVersion: tlsVersions[read.SESSIOND_TLS_MIN_VERSION] };
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8);
loopback.addAddress("::1", "ipv6");

/**
 * Whether data sent to this host stays on this machine; undefined is every address. Of names only `localhost` is certain to
 * (RFC 6761).
 */
export function isLoopback(host: string | undefined): boolean {
  if (host === undefined) return false;
  const family = isIP(host);
  if (family === 0) return host.toLowerCase() === "localhost";
  return loopback.check(host, family === 6 ? "ipv6" : "ipv4");
}

export function masterKeysOf(current: Buffer, accepted: readonly Buffer[]): MasterKeys {
  return { current: masterKeyOf(current), accepted: accepted.map(masterKeyOf) };
}

/** Size of each worker's pool. At least 2, because statements of one pool could otherwise wait for each other. */
export function connectionsPerWorker(config: Pick<Config, "maxConnections" | "workers">): number {
  return Math.max(2, Math.floor(config.maxConnections / config.workers));
}

/**
 * Connections that a PostgreSQL must allow if it serves one replica. Each worker has three more: one listens for
 * revocations, one renews the worker's entry among the replicas, one purges. Start-up and commands of operators use the 20 others.
 */
export function connectionsPerReplica(config: Pick<Config, "maxConnections" | "workers">): number {
  return config.workers * (connectionsPerWorker(config) + 3) + 20;
}

export function version(): string {
  const file = new URL(import.meta.resolve("sessiond/package.json"));
  return z.object({ version: z.string() }).parse(JSON.parse(readFileSync(file, "utf8"))).version;
}
