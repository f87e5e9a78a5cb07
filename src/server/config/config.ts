import { z } from "zod";
import { defaultKeySchedule, minPublicationDelayMs } from "../../domain/keys/key-schedule.ts";
import { isLoopback } from "./loopback.ts";
import {
  bootstrapProject,
  burst,
  callsPerSecond,
  databaseUrl,
  listen,
  masterKey,
  masterKeys,
  milliseconds,
  origins,
  pathPrefix,
  retentionDays,
  wholeNumber,
  workers,
} from "./variables.ts";

/** Milliseconds of a day. */
const day = 86_400_000;

const tlsVersions = { "1.2": "TLSv1.2", "1.3": "TLSv1.3" } as const;

/** Every variable, with its default. The table in the README says what each is for. */
const variables = z.object({
  DATABASE_URL: databaseUrl.optional(),
  SESSIOND_LISTEN: listen.prefault("127.0.0.1:8080"),
  SESSIOND_WORKERS: workers.prefault("1"),
  SESSIOND_METRICS_LISTEN: listen.optional(),
  SESSIOND_TLS_CERT_FILE: z.string().optional(),
  SESSIOND_TLS_KEY_FILE: z.string().optional(),
  SESSIOND_TLS_CLIENT_CA_FILE: z.string().optional(),
  SESSIOND_TLS_MIN_VERSION: z.enum(["1.2", "1.3"]).default("1.2"),
  SESSIOND_ALLOW_PLAINTEXT: z.enum(["on", "off"]).default("off"),
  SESSIOND_DATA_DIR: z.string().default(".sessiond"),
  SESSIOND_BOOTSTRAP_PROJECT: bootstrapProject.optional(),
  SESSIOND_MASTER_KEY: masterKey.optional(),
  SESSIOND_MASTER_KEYS_ACCEPTED: masterKeys.optional(),
  SESSIOND_SIGNING_KEY_ROTATION_DAYS: z.coerce.number().int().min(0).max(3650).default(90),
  SESSIOND_SIGNING_KEY_PUBLICATION_DELAY_MS: milliseconds(minPublicationDelayMs, 86_400_000).default(
    defaultKeySchedule.publicationDelayMs,
  ),
  SESSIOND_RETENTION_DAYS: retentionDays.default(90),
  SESSIOND_ISSUER: z.string().max(255).default("sessiond"),
  SESSIOND_LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]).default("info"),
  SESSIOND_DATABASE_MAX_CONNECTIONS: wholeNumber(2, 1000).default(10),
  SESSIOND_DATABASE_CONNECT_TIMEOUT_MS: milliseconds(100, 600_000).default(5_000),
  SESSIOND_DATABASE_STATEMENT_TIMEOUT_MS: milliseconds(100, 600_000).default(10_000),
  SESSIOND_DATABASE_NOTIFY: z.enum(["on", "off"]).default("on"),
  SESSIOND_DATABASE_PREPARED_STATEMENTS: z.enum(["on", "off"]).default("on"),
  SESSIOND_DATABASE_MAX_WAITING: wholeNumber(1, 1_000_000).default(5_000),
  SESSIOND_CALLS_PER_SECOND_PER_SERVICE: callsPerSecond.default(0),
  SESSIOND_CALL_BURST_PER_SERVICE: burst.optional(),
  SESSIOND_CALLS_PER_SECOND_PER_MEMBER: callsPerSecond.default(0),
  SESSIOND_CALL_BURST_PER_MEMBER: burst.optional(),
  SESSIOND_CALLS_PER_SECOND_PER_ADDRESS: callsPerSecond.default(0),
  SESSIOND_CALL_BURST_PER_ADDRESS: burst.optional(),
  SESSIOND_FAILED_AUTHENTICATIONS_PER_SECOND_PER_ADDRESS: callsPerSecond.default(20),
  SESSIOND_FAILED_AUTHENTICATION_BURST_PER_ADDRESS: burst.default(500),
  SESSIOND_MAX_MESSAGE_BYTES: wholeNumber(16_384, 67_108_864, "of bytes ").default(1_048_576),
  SESSIOND_SHUTDOWN_GRACE_MS: milliseconds(0, 600_000).default(10_000),
  SESSIOND_KRATOS_PREFIX: pathPrefix.default("/auth"),
  SESSIOND_KRATOS_COOKIE: z
    .string()
    .regex(/^[\w!#$%&'*+.^`|~-]+$/, "must be a cookie name")
    .default("ory_kratos_session"),
  SESSIOND_KRATOS_ALLOWED_ORIGINS: origins.optional(),
  SESSIOND_STYTCH_ERROR_URL_BASE: z.url().default("https://stytch.com/docs/api/errors/"),
  SESSIOND_STYTCH_SUPPORT_ADDRESS: z.string().default("support@stytch.com"),
});

/** The names of all variables. */
export const variableNames: readonly string[] = Object.keys(variables.shape);

/** Variables that tell commands which service to call, and as whom; the service itself disregards them. */
export const callerVariableNames: readonly string[] = [
  "SESSIOND_SERVER",
  "SESSIOND_PROJECT",
  "SESSIOND_SECRET_FILE",
  "SESSIOND_SECRET",
];

/** The configuration of a server. Times in milliseconds, sizes in bytes. */
export type Config = ReturnType<typeof toConfig>;

/** What the environment says: a configuration, or everything that is wrong with it at once. */
export type ConfigResult =
  | { readonly config: Config; readonly warnings: readonly string[] }
  | { readonly problems: readonly string[] };

/** Reads the environment. No value is repeated in a problem: it may be a secret. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): ConfigResult {
  const given = givenIn(environment);
  const { success, data, error } = variables.safeParse(given);
  const problems = problemsOf(error);
  if (given["DATABASE_URL"] !== undefined && given["SESSIOND_MASTER_KEY"] === undefined) {
    const how = "`openssl rand -base64 32` makes one; keep it, and give every replica the same";
    problems.push(`SESSIOND_MASTER_KEY: is required with DATABASE_URL: 32 bytes in base64. ${how}`);
  }
  // By themselves, so that what is wrong with others does not hide what is wrong with these.
  const tls = tlsVariables.safeParse(given);
  if (tls.success) problems.push(...problemsOfTls(tls.data));
  if (!success || problems.length > 0) return { problems };
  const unknown = Object.keys(given).filter((name) => name.startsWith("SESSIOND_") && !known.has(name));
  return {
    config: toConfig(data),
    warnings: unknown.map((name) => `${name} is not a variable of this version`),
  };
}

const known: ReadonlySet<string> = new Set([...variableNames, ...callerVariableNames]);

/** The part of the configuration that says where the database is, and how long it keeps what has ended. */
export type DatabaseConfig = Pick<
  Config,
  "databaseUrl" | "dataDirectory" | "connectTimeoutMs" | "retentionMs"
>;

/** Reads that part alone, for who works on the database and so needs no master key; or what is wrong with it. */
export function readDatabaseConfig(
  environment: Readonly<Record<string, string | undefined>>,
): { readonly config: DatabaseConfig } | { readonly problems: readonly string[] } {
  const { success, data, error } = databaseVariables.safeParse(givenIn(environment));
  if (!success) return { problems: problemsOf(error) };
  return {
    config: {
      databaseUrl: data.DATABASE_URL,
      dataDirectory: data.SESSIOND_DATA_DIR,
      connectTimeoutMs: data.SESSIOND_DATABASE_CONNECT_TIMEOUT_MS,
      retentionMs: data.SESSIOND_RETENTION_DAYS * day,
    },
  };
}

const databaseVariables = variables.pick({
  DATABASE_URL: true,
  SESSIOND_DATA_DIR: true,
  SESSIOND_DATABASE_CONNECT_TIMEOUT_MS: true,
  SESSIOND_RETENTION_DAYS: true,
});

const tlsVariables = variables.pick({
  SESSIOND_LISTEN: true,
  SESSIOND_ALLOW_PLAINTEXT: true,
  SESSIOND_TLS_CERT_FILE: true,
  SESSIOND_TLS_KEY_FILE: true,
  SESSIOND_TLS_CLIENT_CA_FILE: true,
});

/** An empty variable counts as absent. */
function givenIn(
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ""));
}

function problemsOf(error: z.ZodError | undefined): string[] {
  return (error?.issues ?? []).map((issue) => `${issue.path.join(".")}: ${issue.message}`);
}

/** Half of what TLS takes, and what would send secrets where others can read them. */
function problemsOfTls(read: z.output<typeof tlsVariables>): readonly string[] {
  const { SESSIOND_TLS_CERT_FILE: cert, SESSIOND_TLS_KEY_FILE: key, SESSIOND_LISTEN: listen } = read;
  const problems: string[] = [];
  if (cert === undefined && key !== undefined) {
    problems.push("SESSIOND_TLS_CERT_FILE: is required with SESSIOND_TLS_KEY_FILE");
  }
  if (cert !== undefined && key === undefined) {
    problems.push("SESSIOND_TLS_KEY_FILE: is required with SESSIOND_TLS_CERT_FILE");
  }
  if (cert !== undefined || key !== undefined) return problems;
  if (read.SESSIOND_TLS_CLIENT_CA_FILE !== undefined) {
    problems.push("SESSIOND_TLS_CLIENT_CA_FILE: needs SESSIOND_TLS_CERT_FILE and SESSIOND_TLS_KEY_FILE");
  }
  if (read.SESSIOND_ALLOW_PLAINTEXT === "off" && !isLoopback(listen.host)) {
    problems.push(
      "SESSIOND_LISTEN: must be a loopback address while there is no TLS: set SESSIOND_TLS_CERT_FILE and " +
        "SESSIOND_TLS_KEY_FILE, or SESSIOND_ALLOW_PLAINTEXT=on where the network in front encrypts",
    );
  }
  return problems;
}

function toConfig(read: z.output<typeof variables>) {
  return {
    /** Undefined: the embedded Postgres in `dataDirectory`. */
    databaseUrl: read.DATABASE_URL,
    dataDirectory: read.SESSIOND_DATA_DIR,
    listen: read.SESSIOND_LISTEN,
    /** Where metrics are read; undefined: nowhere, and nothing is counted. */
    metricsListen: read.SESSIOND_METRICS_LISTEN,
    /** How many processes serve. */
    workers: read.SESSIOND_WORKERS,
    /** Undefined: no TLS. */
    tls: toTlsConfig(read),
    bootstrapProject: read.SESSIOND_BOOTSTRAP_PROJECT,
    /** Undefined: made by itself, beside the embedded Postgres. */
    masterKey: read.SESSIOND_MASTER_KEY,
    /** They open what was sealed with them, and seal nothing. */
    acceptedMasterKeys: read.SESSIOND_MASTER_KEYS_ACCEPTED ?? [],
    keySchedule: {
      rotationPeriodMs: read.SESSIOND_SIGNING_KEY_ROTATION_DAYS * day,
      publicationDelayMs: read.SESSIOND_SIGNING_KEY_PUBLICATION_DELAY_MS,
    },
    /** How long what has ended is kept; 0: for ever. */
    retentionMs: read.SESSIOND_RETENTION_DAYS * day,
    issuer: read.SESSIOND_ISSUER,
    logLevel: read.SESSIOND_LOG_LEVEL,
    /** Of all workers together. */
    maxConnections: read.SESSIOND_DATABASE_MAX_CONNECTIONS,
    connectTimeoutMs: read.SESSIOND_DATABASE_CONNECT_TIMEOUT_MS,
    statementTimeoutMs: read.SESSIOND_DATABASE_STATEMENT_TIMEOUT_MS,
    /** Whether the database can LISTEN and NOTIFY; without, watchers hear of revocations by polling. */
    notify: read.SESSIOND_DATABASE_NOTIFY === "on",
    /** Whether connections may keep prepared statements; not every pooler between lets them. */
    preparedStatements: read.SESSIOND_DATABASE_PREPARED_STATEMENTS === "on",
    /** Most calls of a process that wait for reads from the database, and for writes to it. */
    maxWaiting: read.SESSIOND_DATABASE_MAX_WAITING,
    callRates: {
      service: rateOf(read.SESSIOND_CALLS_PER_SECOND_PER_SERVICE, read.SESSIOND_CALL_BURST_PER_SERVICE),
      member: rateOf(read.SESSIOND_CALLS_PER_SECOND_PER_MEMBER, read.SESSIOND_CALL_BURST_PER_MEMBER),
      address: rateOf(read.SESSIOND_CALLS_PER_SECOND_PER_ADDRESS, read.SESSIOND_CALL_BURST_PER_ADDRESS),
      failures: rateOf(
        read.SESSIOND_FAILED_AUTHENTICATIONS_PER_SECOND_PER_ADDRESS,
        read.SESSIOND_FAILED_AUTHENTICATION_BURST_PER_ADDRESS,
      ),
    },
    maxMessageBytes: read.SESSIOND_MAX_MESSAGE_BYTES,
    shutdownGraceMs: read.SESSIOND_SHUTDOWN_GRACE_MS,
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

/** Undefined: without limit. Where no burst is given, what comes in ten seconds, and one at least. */
function rateOf(perSecond: number, burst = Math.max(1, 10 * perSecond)) {
  return perSecond === 0 ? undefined : { perSecond, burst };
}

function toTlsConfig(read: z.output<typeof variables>) {
  const { SESSIOND_TLS_CERT_FILE: certFile, SESSIOND_TLS_KEY_FILE: keyFile } = read;
  if (certFile === undefined || keyFile === undefined) return undefined;
  const clientCaFile = read.SESSIOND_TLS_CLIENT_CA_FILE;
  return { certFile, keyFile, clientCaFile, minVersion: tlsVersions[read.SESSIOND_TLS_MIN_VERSION] };
}
