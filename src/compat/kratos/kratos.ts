import { STATUS_CODES } from "node:http";
import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { SessionService } from "../../../gen/compat/kratos/v1/session_service_pb.ts";
import { HttpRuleSchema } from "../../../gen/google/api/http_pb.ts";
import { type CredentialScheme, bearer, cookie, sessionTokenHeader } from "../../auth/request-credentials.ts";
import { SessiondError } from "../../domain/errors.ts";
import type { Dependencies } from "../../domain/use-cases/dependencies.ts";
import { revokeOwn } from "../../domain/use-cases/revoke.ts";
import type { ErrorAnswer, FailedRequest } from "../../rest/dialect.ts";
import type { Failure } from "../../rest/errors/failure.ts";
import { callContextOf, callRecordKey } from "../../rpc/call-record.ts";
import { readFields } from "../../rpc/messages/fields.ts";
import { memberCallerOf } from "../../rpc/gate.ts";
import { type CompatApi, detailsFor, withheldHeaders } from "../api.ts";

export interface KratosOptions {
  /** Path prefix; documented: `/auth`. */
  readonly prefix: string;
  /** Name of the session cookie; documented: `ory_kratos_session`. */
  readonly cookieName: string;
  /** Origins besides the service's own that may use the cookie, such as `https://app.example.com`. */
  readonly allowedOrigins: readonly string[];
}

/** The session API of Ory Kratos. */
export function kratos(deps: Dependencies, options: KratosOptions): CompatApi<typeof SessionService> {
  const { prefix } = options;
  return {
    service: SessionService,
    access: { disableMySession: { member: true, revokes: true } },
    scheme: kratosScheme(options),
    dialect: { prefixes: [prefix], writeError, withheldHeaders },
    cookieOrigins: options.allowedOrigins,
    rules: [
      create(HttpRuleSchema, {
        selector: `${SessionService.typeName}.${SessionService.method.disableMySession.name}`,
        pattern: { case: "delete", value: `${prefix}/sessions/{id}` },
      }),
    ],
    implementation: {
      async disableMySession(request, context) {
        const caller = memberCallerOf(context);
        const id = readFields((fields) => fields.sessionId("id", request.id));
        if (id === caller.session.id) throw new SessiondError("SESSION_IS_CURRENT");
        try {
          await revokeOwn(deps, caller, id, detailsFor("logout"), callContextOf(context));
        } catch (error) {
          // The answer is the same for an unknown session, so that it reveals nothing.
          if (!(error instanceof SessiondError && error.reason === "SESSION_NOT_FOUND")) throw error;
        }
        return {};
      },
    },
  };
}

/** `X-Session-Token`, then the cookie, then `Authorization: Bearer`. Refuses cross-site requests with the cookie. */
function kratosScheme({ cookieName, allowedOrigins }: KratosOptions): CredentialScheme {
  return (header, { secure }) => {
    const byHeader = sessionTokenHeader(header);
    if (byHeader !== undefined) return byHeader;
    const byCookie = cookie(header, cookieName);
    if (byCookie === undefined) return bearer(header);
    if (isCrossSite(header, secure, allowedOrigins)) throw new SessiondError("CALLER_NOT_ALLOWED");
    return byCookie;
  };
}

/**
 * Whether a browser sent the request from another site's page; every route here changes state. If TLS ends in this process, a
 * page of http is foreign too, because an attacker on the network could have changed it.
 */
function isCrossSite(header: Headers, secure: boolean, allowedOrigins: readonly string[]): boolean {
  const origin = header.get("origin");
  if (origin !== null) {
    if (allowedOrigins.includes(origin)) return false;
    const { host, protocol } = URL.canParse(origin) ? new URL(origin) : {};
    return host !== header.get("host") || (secure && protocol !== "https:");
  }
  const site = header.get("sec-fetch-site");
  return site !== null && site !== "same-origin" && site !== "none";
}

/** Kratos's error envelope, with the request id for internal errors. */
function writeError({ kind, status, error }: Failure, { contextValues }: FailedRequest): ErrorAnswer {
  const isUnauthorized = kind === "handler" && error.code === Code.Unauthenticated;
  const json = {
    code: status,
    status: STATUS_CODES[status] ?? "Error",
    ...(isUnauthorized && { reason: "No valid session cookie found." }),
    ...(status >= 500 && { request: contextValues.get(callRecordKey).id }),
    message: isUnauthorized ? "The request could not be authorized" : error.rawMessage,
  };
  return { status, body: { json: { error: json } } };
}
