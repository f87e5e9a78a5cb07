import type { DescMethod, JsonObject } from "@bufbuild/protobuf";
import type { MethodAccess } from "../../auth/access.ts";
import { commentOf } from "../../rest/openapi/comments.ts";
import type { ApiOutline, ErrorOutline } from "../../rest/openapi/outline.ts";
import type { CompiledRoute } from "../../rest/routes/route.ts";
import { errorDomain } from "../../rpc/connect-errors.ts";
import { errorExample } from "./error-example.ts";
import { type ReasonDoc, reasonTable } from "./error-reasons.ts";

const description = `
Sessions of one project, its policy, credentials and signing keys. The same methods are served over gRPC, gRPC-Web and Connect.

Requests may use the names below or those of the protos (\`member_id\`). Unknown members and parameters are refused. In answers
every field without presence is there, also with its default value.

\`grpc-timeout\`, \`Connect-Timeout-Ms\` and \`X-Server-Timeout\` (seconds) set a deadline. \`X-Request-Id\` names the call in the log.

## Errors

Errors are google.rpc.Status. Its \`details\` have a google.rpc.ErrorInfo with the domain \`sessiond\` and one of these reasons,
which the header \`sessiond-error-reason\` repeats:
`;

/** The outline of the service's own API. */
export function ownOutline(
  routes: readonly CompiledRoute[],
  accessOf: (method: DescMethod) => MethodAccess,
  reasons: readonly ReasonDoc[],
): ApiOutline {
  const named = (text: string): readonly string[] =>
    reasons
      .filter(({ error, grpcCode }) => new RegExp(`\\b(${error.reason}|${grpcCode})\\b`).test(text))
      .map(({ httpStatus }) => String(httpStatus));
  return {
    title: "sessiond",
    version: "v1",
    description: `${description.trim()}\n\n<details><summary>All reasons</summary>\n\n${reasonTable(reasons)}\n\n</details>`,
    dialect: {},
    securitySchemes: {
      basic: {
        type: "http",
        scheme: "basic",
        description: "Services: `project_id:secret` of a service credential.",
      },
      clientCertificate: {
        type: "mutualTLS",
        description:
          "Services: a client certificate with one of the certificate names of a service credential.",
      },
      bearer: { type: "http", scheme: "bearer", description: "End users: a session token or session JWT." },
      sessionToken: {
        type: "apiKey",
        in: "header",
        name: "X-Session-Token",
        description: "End users: a session token or session JWT.",
      },
    },
    headers: (method) => (isForServices(accessOf(method)) ? [actingUser] : []),
    security: (method) => securityOf(accessOf(method)),
    errors: { ...errorsOf(reasons), default: { description: "Any other error." } },
    statuses(method) {
      const isPublic = accessOf(method) === "public";
      const comments = [method, ...method.input.fields].map(commentOf).join("\n");
      const isNamed = (status: string) =>
        status === "404"
          ? named(comments).includes(status) || hasPathField(routes, method)
          : status !== "409" || (named(comments).includes(status) && method.methodKind === "unary");
      return [...new Set(reasons.map(({ httpStatus }) => String(httpStatus))), "default"]
        .filter((status) => !(isPublic && (status === "401" || status === "403")) && isNamed(status))
        .sort();
    },
    errorSchema: (schemas) => schemas.component("Status", "google.rpc.Status", () => statusSchema(reasons)),
  };
}

function hasPathField(routes: readonly CompiledRoute[], method: DescMethod): boolean {
  return routes.some((route) => route.method === method && route.pathBindings.length > 0);
}

const actingUser = {
  name: "acting-user",
  in: "header",
  description:
    "For whom a service acts, as it states it: percent-encoded UTF-8, up to 255 characters without control characters. End users must not send it.",
  schema: { type: "string" },
};

function isForServices(access: MethodAccess): boolean {
  return access !== "public" && access.service !== undefined;
}

/** Services authenticate by secret or certificate, end users by their session. */
function securityOf(access: MethodAccess): readonly JsonObject[] {
  if (access === "public") return [];
  const service = access.service === undefined ? [] : [{ basic: [] }, { clientCertificate: [] }];
  return access.member === true ? [...service, { bearer: [] }, { sessionToken: [] }] : service;
}

/** The error answers with the reasons behind each status, and the first of them as an example. */
function errorsOf(reasons: readonly ReasonDoc[]): Record<string, ErrorOutline> {
  const byStatus = Object.groupBy(reasons, ({ httpStatus }) => httpStatus);
  return Object.fromEntries(
    Object.entries(byStatus).map(([status, those = []]) => {
      const list = those.map(({ error, meaning }) => `- \`${error.reason}\`: ${meaning}`);
      return [
        status,
        {
          description: list.join("\n"),
          ...(those[0] && { example: errorExample({}, those[0].error.reason) }),
        },
      ];
    }),
  );
}

function statusSchema(reasons: readonly ReasonDoc[]): JsonObject {
  const detail = (type: string, properties: JsonObject, required: string[]): JsonObject => ({
    type: "object",
    properties: { "@type": { const: `type.googleapis.com/google.rpc.${type}` }, ...properties },
    required: ["@type", ...required],
  });
  const text = { type: "string" };
  const reason = { type: "string", examples: reasons.map(({ error }) => error.reason) };
  const metadata = { type: "object", additionalProperties: text };
  const violation = {
    type: "object",
    properties: { field: text, description: text },
    required: ["field", "description"],
  };
  return {
    type: "object",
    description: "google.rpc.Status.",
    properties: {
      code: { type: "integer", description: "The gRPC code: a value of google.rpc.Code." },
      message: { type: "string", description: "What went wrong, for people." },
      details: {
        type: "array",
        items: {
          anyOf: [
            detail("ErrorInfo", { reason, domain: { const: errorDomain }, metadata }, ["reason", "domain"]),
            detail("BadRequest", { fieldViolations: { type: "array", items: violation } }, [
              "fieldViolations",
            ]),
            detail("RetryInfo", { retryDelay: { type: "string" } }, ["retryDelay"]),
            { type: "object", properties: { "@type": text }, required: ["@type"] },
          ],
        },
      },
    },
    required: ["code", "message", "details"],
  };
}
