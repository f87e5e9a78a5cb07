import type { DescMethod, JsonObject } from "@bufbuild/protobuf";
import type { ApiOutline } from "../rest/openapi/outline.ts";

/** What the OpenAPI document of a documented API says beyond its descriptors, its dialect and its access. */
export interface CompatOutline extends Pick<
  ApiOutline,
  "title" | "description" | "securitySchemes" | "errors" | "statuses" | "errorSchema"
> {
  /** The alternatives by which callers authenticate. */
  readonly credentials: readonly JsonObject[];
}

const basic = { type: "http", scheme: "basic", description: "`project_id:secret` of a service credential." };
const bearer = {
  type: "http",
  scheme: "bearer",
  description: "A session token or session JWT of the end user.",
};
const clientCertificate = {
  type: "mutualTLS",
  description: "A client certificate with one of the certificate names of a service credential.",
};
const tooMany = "Too many requests.";
const other = "Any other error.";

const stytchErrors = {
  400: "`invalid_session_id`, `no_session_revoke_arguments`, `too_many_session_revoke_arguments`, `unable_to_parse_session_jwt`, `jwt_invalid_issuer`, `jwt_invalid_audience`, or `bad_request`: the body is not JSON, or has an unknown member or a wrong type.",
  401: "`unauthorized_credentials`: the credentials are missing or wrong. `session_not_found`: the member session is not valid.",
  403: "`insufficient_permissions`: the service credential lacks `sessions.revoke`. `session_authorization_error`: the member may not revoke this session.",
  404: "`session_not_found` or `project_not_found`.",
  429: "`too_many_requests`.",
  500: "`internal_server_error`. The database may be unavailable; to repeat the call is safe.",
  default: other,
};

const stytchErrorSchema: ApiOutline["errorSchema"] = (schemas) =>
  schemas.component("Error", "error", () => ({
    type: "object",
    properties: {
      status_code: { type: "integer", description: "The HTTP status code of the answer." },
      request_id: { type: "string", description: "`request-id-<environment>-<uuid>`, unique to this call." },
      error_type: { type: "string", description: "What went wrong, for programs." },
      error_message: { type: "string", description: "What went wrong, for people." },
      error_url: { type: "string", format: "uri", description: "A page about this status." },
    },
    required: ["status_code", "request_id", "error_type", "error_message", "error_url"],
  }));

const stytchStatuses = ({ name }: DescMethod) =>
  name === "GetJwks" ? ["404", "429", "500", "default"] : Object.keys(stytchErrors);

/** The outlines by the names of the APIs, which are the second parts of their packages. */
export const compatOutlines: Readonly<Record<string, CompatOutline>> = {
  flashback: {
    title: "Flashback sessions",
    description: "Flashback's device and session management API, served by sessiond.",
    securitySchemes: { bearer },
    credentials: [{ bearer: [] }],
    errors: {
      400: "The request is not valid.",
      401: "There is no valid session in the request.",
      404: "The caller has no such session.",
      429: tooMany,
      500: "The session could not be revoked. The database may be unavailable; to repeat the call is safe.",
      default: other,
    },
    statuses: ({ name }) => ["400", "401", ...(name === "Revoke" ? ["404"] : []), "429", "500", "default"],
    errorSchema: (schemas) =>
      schemas.component("Error", "error", () => ({
        type: "object",
        properties: {
          success: { const: false, description: "Operation success status: false." },
          error: { type: "string", description: "What went wrong." },
        },
        required: ["success", "error"],
      })),
  },
  stytch: {
    title: "Stytch consumer sessions",
    description: "Stytch's consumer session API, served by sessiond.",
    securitySchemes: { basic, clientCertificate },
    credentials: [{ basic: [] }, { clientCertificate: [] }],
    errors: { ...stytchErrors, 401: "`unauthorized_credentials`: the credentials are missing or wrong." },
    statuses: stytchStatuses,
    errorSchema: stytchErrorSchema,
  },
  stytch_b2b: {
    title: "Stytch B2B sessions",
    description: "Stytch's B2B session API, served by sessiond.",
    securitySchemes: {
      basic,
      clientCertificate,
      memberSession: memberHeader("X-Stytch-Member-Session", "session token"),
      memberSessionJwt: memberHeader("X-Stytch-Member-SessionJWT", "session JWT"),
    },
    credentials: ["basic", "clientCertificate"].flatMap((service) => [
      { [service]: [] },
      { [service]: [], memberSession: [] },
      { [service]: [], memberSessionJwt: [] },
    ]),
    errors: stytchErrors,
    statuses: stytchStatuses,
    errorSchema: stytchErrorSchema,
  },
  kratos: {
    title: "Ory Kratos sessions",
    description: "The session API of Ory Kratos, served by sessiond.",
    securitySchemes: {
      sessionToken: {
        type: "apiKey",
        in: "header",
        name: "X-Session-Token",
        description: "A session token or session JWT of the end user.",
      },
      cookie: {
        type: "apiKey",
        in: "cookie",
        name: "ory_kratos_session",
        description: "A session token or session JWT of the end user. Pages of other sites may not use it.",
      },
      bearer,
    },
    credentials: [{ sessionToken: [] }, { cookie: [] }, { bearer: [] }],
    errors: {
      400: "The id is not a UUID, or it is the id of the current session.",
      401: "There is no valid session in the request.",
      403: "A page of another site used the cookie.",
      429: tooMany,
      500: "An internal error.",
      503: "The database is unavailable or overloaded; to repeat the call is safe.",
      default: other,
    },
    statuses: () => ["400", "401", "403", "429", "500", "503", "default"],
    errorSchema: (schemas) =>
      schemas.component("Error", "error", () => ({
        type: "object",
        properties: {
          error: {
            type: "object",
            properties: {
              code: { type: "integer", description: "The HTTP status code of the answer." },
              status: { type: "string", description: "The reason phrase of the status code." },
              reason: { type: "string", description: "Why the caller is not authorized." },
              request: { type: "string", description: "Id of the request, for internal errors." },
              message: { type: "string", description: "What went wrong." },
            },
            required: ["code", "status", "message"],
          },
        },
        required: ["error"],
      })),
  },
};

function memberHeader(name: string, what: string): JsonObject {
  const description = `A ${what} of a member, whose permissions then apply.`;
  return { type: "apiKey", in: "header", name, description };
}
