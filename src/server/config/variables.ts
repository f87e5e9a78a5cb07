import { z } from "zod";
import { defaultKeySchedule, minPublicationDelayMs } from "../../domain/keys/key-schedule.ts";
import * as forms from "./variable-forms.ts";

const rateLimitOf = (caller: string) =>
  forms.callsPerSecond.default(0).describe(`Rate limit of one ${caller}. 0 disables it.`);

const burstOf = (caller: string) =>
  forms.burst
    .optional()
    .describe(`Calls that one ${caller} may make at once. By default what the rate allows in 10 seconds.`);

/** Every environment variable of the service, in the order of the documentation, which is generated from it. */
export const variables = z.object({
  DATABASE_URL: forms.databaseUrl
    .optional()
    .describe(
      "PostgreSQL 14 or newer; several hosts (`@one:5432,two:5432/`) if there are standbys. Without it the embedded PostgreSQL runs.",
    ),
  SESSIOND_DATABASE_DIRECT_URL: forms.databaseUrl
    .optional()
    .describe(
      "The same database without a pooler, for notifications, migrations and commands of operators. By default `DATABASE_URL`.",
    ),
  SESSIOND_MASTER_KEY: forms.masterKey
    .optional()
    .describe(
      "Encrypts the signing keys, and for 10 minutes the tokens of `Create` with a `request_id`. Required with `DATABASE_URL`, and the same on every replica. The embedded PostgreSQL keeps one in its data directory.",
    ),
  SESSIOND_MASTER_KEYS_ACCEPTED: forms.masterKeys
    .optional()
    .describe("Further master keys that decrypt but do not encrypt: the previous or the next one."),
  SESSIOND_LISTEN: forms.listen
    .prefault("127.0.0.1:8080")
    .describe("Address of the service. Port 0 takes a free port."),
  SESSIOND_WORKERS: forms.workers.prefault("1").describe("Number of processes that serve on this port."),
  SESSIOND_METRICS_LISTEN: forms.listen
    .optional()
    .describe("Address of `GET /metrics`, without TLS or credentials. Without it no metrics are recorded."),
  SESSIOND_TLS_CERT_FILE: forms.pemFile
    .optional()
    .describe("Certificate of the server, followed by its chain."),
  SESSIOND_TLS_KEY_FILE: forms.pemFile
    .optional()
    .describe("Private key of the server, without a passphrase."),
  SESSIOND_TLS_CLIENT_CA_FILE: forms.pemFile
    .optional()
    .describe("CA that client certificates are verified against."),
  SESSIOND_TLS_MIN_VERSION: z.enum(["1.2", "1.3"]).default("1.2").describe("Oldest TLS version accepted."),
  SESSIOND_ALLOW_PLAINTEXT: forms.onOff
    .default("off")
    .describe("`on` allows any address without TLS, for use behind a mesh or proxy that encrypts."),
  SESSIOND_DOCS: forms.onOff
    .optional()
    .describe(
      "Whether `/docs` and the OpenAPI documents are served. By default `on` if the service listens on a loopback address.",
    ),
  SESSIOND_BOOTSTRAP_PROJECT: forms.bootstrapProject
    .optional()
    .describe("Project to create at start unless it exists, and a service secret with all permissions."),
  SESSIOND_DATA_DIR: forms.text
    .default(".sessiond")
    .describe("Directory of the embedded PostgreSQL and its secrets."),
  SESSIOND_ISSUER: forms.issuer
    .default("sessiond")
    .describe("Prefix of the `iss` claim of session JWTs, which is `<issuer>/<project id>`."),
  SESSIOND_SIGNING_KEY_ROTATION_DAYS: forms.days
    .default(90)
    .describe("Days after which a signing key is replaced. 0 disables automatic rotation."),
  SESSIOND_SIGNING_KEY_PUBLICATION_DELAY_MS: forms
    .milliseconds(minPublicationDelayMs, 86_400_000)
    .default(defaultKeySchedule.publicationDelayMs)
    .describe("Time that a new signing key is in the JWKS before it signs."),
  SESSIOND_RETENTION_DAYS: forms.days
    .default(90)
    .describe("Days after which ended sessions and their revocations are deleted. 0 keeps them forever."),
  SESSIOND_LOG_LEVEL: z
    .enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"])
    .default("info")
    .describe("Least severe level that is logged."),
  SESSIOND_DATABASE_MAX_CONNECTIONS: forms
    .wholeNumber(2, 1000)
    .default(10)
    .describe("Database connections of one replica. Its workers share them, at least 2 each."),
  SESSIOND_DATABASE_CONNECT_TIMEOUT_MS: forms
    .milliseconds(100, 600_000)
    .default(5_000)
    .describe("Longest wait for a database connection."),
  SESSIOND_DATABASE_STATEMENT_TIMEOUT_MS: forms
    .milliseconds(100, 600_000)
    .default(10_000)
    .describe("Longest duration of a statement."),
  SESSIOND_DATABASE_NOTIFY: forms.onOff
    .default("on")
    .describe("`off` for a database without LISTEN and NOTIFY: watchers then poll once per second."),
  SESSIOND_DATABASE_PREPARED_STATEMENTS: forms.onOff
    .default("on")
    .describe("`off` prepares no statement. `on` prepares them until a connection pooler loses one."),
  SESSIOND_DATABASE_MAX_WAITING: forms
    .wholeNumber(1, 1_000_000)
    .default(5_000)
    .describe("Calls of one process that may wait for reads, and for writes. Further calls fail fast."),
  SESSIOND_CALLS_PER_SECOND_PER_SERVICE: rateLimitOf("service credential"),
  SESSIOND_CALL_BURST_PER_SERVICE: burstOf("service credential"),
  SESSIOND_CALLS_PER_SECOND_PER_MEMBER: rateLimitOf("member as an end user"),
  SESSIOND_CALL_BURST_PER_MEMBER: burstOf("member"),
  SESSIOND_CALLS_PER_SECOND_PER_ADDRESS: rateLimitOf("client address"),
  SESSIOND_CALL_BURST_PER_ADDRESS: burstOf("client address"),
  SESSIOND_TRUSTED_PROXIES: forms.networks
    .optional()
    .describe("Networks of proxies whose header names the client address, for rates per client address."),
  SESSIOND_TRUSTED_PROXY_HEADER: z
    .enum(["x-forwarded-for", "forwarded"])
    .default("x-forwarded-for")
    .describe("The header that the trusted proxies write. The other one is ignored."),
  SESSIOND_MAX_MESSAGE_BYTES: forms
    .wholeNumber(16_384, 67_108_864, "of bytes ")
    .default(1_048_576)
    .describe("Largest request message, measured after decompression."),
  SESSIOND_SHUTDOWN_GRACE_MS: forms
    .milliseconds(0, 600_000)
    .default(10_000)
    .describe("Time that running calls have to finish after SIGTERM."),
  SESSIOND_ALLOWED_ORIGINS: forms.origins
    .optional()
    .describe(
      "Origins whose pages may call REST, Connect and gRPC-Web, without cookies. Not the Kratos API.",
    ),
  SESSIOND_KRATOS_PREFIX: forms.pathPrefix.default("/auth").describe("Path prefix of the Kratos API."),
  SESSIOND_KRATOS_COOKIE: forms.cookieName
    .default("ory_kratos_session")
    .describe("Session cookie of the Kratos API."),
  SESSIOND_KRATOS_ALLOWED_ORIGINS: forms.origins
    .optional()
    .describe(
      "Origins besides the service's own whose pages may call the Kratos API, with its session cookie. Nothing else.",
    ),
  SESSIOND_STYTCH_ERROR_URL_BASE: forms.url
    .default("https://stytch.com/docs/api/errors/")
    .describe("Prefix of `error_url` in errors of the Stytch API; the status follows."),
  SESSIOND_STYTCH_SUPPORT_ADDRESS: forms.text
    .default("support@stytch.com")
    .describe("Address named in internal errors of the Stytch API."),
});

export const variableNames: readonly string[] = Object.keys(variables.shape);

/** Variables that tell commands which service to call with which credential. The service ignores them. */
export const callerVariableNames: readonly string[] = [
  "SESSIOND_SERVER",
  "SESSIOND_PROJECT",
  "SESSIOND_SECRET_FILE",
  "SESSIOND_SECRET",
];

/** A Markdown table of all variables: name, accepted values, default and meaning. */
export function configurationTable(): string {
  const rows = Object.entries(variables.shape).map(([name, schema]) => {
    const { def } = schema;
    const fallback = "defaultValue" in def ? `\`${String(def.defaultValue)}\`` : "";
    const cells = [`\`${name}\``, acceptedBy(def.innerType), fallback, schema.description ?? ""];
    return `| ${cells.join(" | ")} |`;
  });
  return ["| variable | accepts | default | meaning |", "|---|---|---|---|", ...rows, ""].join("\n");
}

function acceptedBy(form: z.core.$ZodType): string {
  if (form instanceof z.ZodEnum) return form.options.map((option) => `\`${option}\``).join(", ");
  const accepts = z.globalRegistry.get(form)?.["accepts"];
  return typeof accepts === "string" ? accepts.replace(/<[^>]+>(:<[^>]+>)?/g, "`$&`") : "text";
}
