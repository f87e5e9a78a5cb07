import type { DescMethod, JsonObject } from "@bufbuild/protobuf";
import type { Reason } from "../domain/errors.ts";
import type { ApiOutline } from "../rest/openapi/outline.ts";

/** What the OpenAPI document of a documented API says beyond its descriptors, its dialect and its access. */
export interface CompatOutline extends Pick<
  ApiOutline,
  "title" | "description" | "securitySchemes" | "statuses" | "errorSchema"
> {
  /** The alternatives by which callers authenticate. */
  readonly credentials: readonly JsonObject[];
  /** The error answers by status, with a reason of which the answer is an example. */
  readonly errors: Readonly<Record<string, readonly [description: string, reason?: Reason]>>;
}

const other = ["Any other error."] as const;
const sessionCredential = "A session token or session JWT of the end user.";
const bearer = { type: "http", scheme: "bearer", description: sessionCredential };
const basic = { type: "http", scheme: "basic", description: "`project_id:secret` of a service credential." };
const clientCertificate = {
  type: "mutualTLS",
  description: "A client certificate with one of the certificate names of a service credential.",
};

const flashback: CompatOutline = {
  title: "Flashback sessions",
  description: "Flashback's device and session management API, served by sessiond.",
  securitySchemes: { bearer },
  credentials: [{ bearer: [] }],
  errors: {
    400: ["The request is not valid.", "FIELD_INVALID"],
    401: ["The request has no valid session.", "CREDENTIAL_MISSING"],
    404: ["The caller has no such session.", "SESSION_NOT_FOUND"],
    429: ["Too many requests.", "RATE_LIMITED"],
    500: ["The session could not be revoked. Repeating the call is safe.", "DATABASE_UNAVAILABLE"],
    default: other,
  },
  statuses: ({ name }) => ["400", "401", ...(name === "Revoke" ? ["404"] : []), "429", "500", "default"],
  errorSchema: (schemas) =>
    schemas.component("Error", "error", () =>
      objectOf({
        success: { const: false, description: "Operation success status: false." },
        error: text("What went wrong."),
      }),
    ),
};

const stytch: CompatOutline = {
  title: "Stytch consumer sessions",
  description: "Stytch's consumer session API, served by sessiond.",
  securitySchemes: { basic, clientCertificate },
  credentials: [{ basic: [] }, { clientCertificate: [] }],
  errors: {
    400: [
      "`invalid_session_id`, `no_session_revoke_arguments`, `too_many_session_revoke_arguments`, " +
        "`unable_to_parse_session_jwt`, `jwt_invalid_issuer`, `jwt_invalid_audience`, or `bad_request`: " +
        "the body is not JSON, or has an unknown member or a wrong type.",
      "JWT_INVALID",
    ],
    401: ["`unauthorized_credentials`: the credentials are missing or wrong.", "CREDENTIAL_MISSING"],
    403: ["`insufficient_permissions`: the credential lacks `sessions.revoke`.", "PERMISSION_MISSING"],
    404: ["`session_not_found` or `project_not_found`.", "SESSION_NOT_FOUND"],
    429: ["`too_many_requests`.", "RATE_LIMITED"],
    500: ["`internal_server_error`. Repeating the call is safe.", "DATABASE_UNAVAILABLE"],
    default: other,
  },
  statuses: ({ name }: DescMethod) =>
    name === "GetJwks"
      ? ["404", "429", "500", "default"]
      : ["400", "401", "403", "404", "429", "500", "default"],
  errorSchema: (schemas) =>
    schemas.component("Error", "error", () =>
      objectOf({
        status_code: { type: "integer", description: "The HTTP status code of the answer." },
        request_id: text("`request-id-<environment>-<uuid>`, unique to this call."),
        error_type: text("What went wrong, for programs."),
        error_message: text("What went wrong, for people."),
        error_url: text("A page about this status."),
      }),
    ),
};

const stytchB2b: CompatOutline = {
  ...stytch,
  title: "Stytch B2B sessions",
  description: "Stytch's B2B session API, served by sessiond.",
  securitySchemes: {
    basic,
    clientCertificate,
    memberSession: header("X-Stytch-Member-Session", "The session token of a member."),
    memberSessionJwt: header("X-Stytch-Member-SessionJWT", "The session JWT of a member."),
  },
  credentials: ["basic", "clientCertificate"].flatMap((service) => [
    { [service]: [] },
    { [service]: [], memberSession: [] },
    { [service]: [], memberSessionJwt: [] },
  ]),
  errors: {
    ...stytch.errors,
    401: [
      "`unauthorized_credentials`: the credentials are missing or wrong. " +
        "`session_not_found`: the member session is not valid.",
      "CREDENTIAL_MISSING",
    ],
    403: [
      "`insufficient_permissions`: the credential lacks `sessions.revoke`. " +
        "`session_authorization_error`: the member may not revoke this session.",
      "CALLER_NOT_ALLOWED",
    ],
  },
};

const kratos: CompatOutline = {
  title: "Ory Kratos sessions",
  description: "The session API of Ory Kratos, served by sessiond.",
  securitySchemes: {
    sessionToken: header("X-Session-Token", sessionCredential),
    cookie: {
      type: "apiKey",
      in: "cookie",
      name: "ory_kratos_session",
      description: `${sessionCredential} Pages of other sites may not use it.`,
    },
    bearer,
  },
  credentials: [{ sessionToken: [] }, { cookie: [] }, { bearer: [] }],
  errors: {
    400: ["The id is not a UUID, or it is the id of the current session.", "SESSION_IS_CURRENT"],
    401: ["The request has no valid session.", "CREDENTIAL_MISSING"],
    403: ["A page of another site used the cookie.", "CALLER_NOT_ALLOWED"],
    429: ["Too many requests.", "RATE_LIMITED"],
    500: ["An internal error.", "INTERNAL"],
    503: ["The database is unavailable or overloaded. Repeating the call is safe.", "DATABASE_UNAVAILABLE"],
    default: other,
  },
  statuses: () => ["400", "401", "403", "429", "500", "503", "default"],
  errorSchema: (schemas) =>
    schemas.component("Error", "error", () => {
      const { properties, ...rest } = objectOf({
        code: { type: "integer", description: "The HTTP status code of the answer." },
        status: text("The reason phrase of the status code."),
        message: text("What went wrong."),
      });
      const optional = {
        reason: text("Why the caller is not authorized."),
        request: text("Id of the request, for internal errors."),
      };
      return objectOf({ error: { ...rest, properties: { ...properties, ...optional } } });
    }),
};

/** The outlines by the names of the APIs, which are the second parts of their packages. */
export const compatOutlines: Readonly<Record<string, CompatOutline>> = {
  flashback,
  stytch,
  stytch_b2b: stytchB2b,
  kratos,
};

/** An object that has all of these properties. */
function objectOf(properties: JsonObject) {
  return { type: "object", properties, required: Object.keys(properties) };
}

function text(description: string): JsonObject {
  return { type: "string", description };
}

function header(name: string, description: string): JsonObject {
  return { type: "apiKey", in: "header", name, description };
}
