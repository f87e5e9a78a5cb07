import type { DescMethod } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { SessionService } from "../../../gen/compat/flashback/v1/session_service_pb.ts";
import { bearer } from "../../auth/request-credentials.ts";
import { SessiondError } from "../../domain/errors.ts";
import { parseSessionId } from "../../domain/ids.ts";
import type { Dependencies } from "../../domain/use-cases/dependencies.ts";
import { revokeAll } from "../../domain/use-cases/revoke-all.ts";
import { revokeOwn } from "../../domain/use-cases/revoke.ts";
import type { ErrorAnswer, FailedRequest } from "../../rest/dialect.ts";
import type { Failure } from "../../rest/errors/failure.ts";
import { callContextOf } from "../../rpc/call-record.ts";
import { memberCallerOf } from "../../rpc/gate.ts";
import { type CompatApi, detailsFor, withheldHeaders } from "../api.ts";

/** Flashback's device and session management API. */
export function flashback(deps: Dependencies): CompatApi<typeof SessionService> {
  return {
    service: SessionService,
    access: {
      revoke: { member: true, revokes: true },
      revokeAll: { member: true, revokes: true },
    },
    scheme: bearer,
    dialect: {
      prefixes: ["/sessions"],
      writeError,
      withheldHeaders,
      challenge: "Bearer",
      bodyWithoutRule: "json",
    },
    implementation: {
      async revoke(request, context) {
        const id = parseSessionId(request.id);
        if (id === undefined) throw new SessiondError("SESSION_NOT_FOUND");
        await revokeOwn(deps, memberCallerOf(context), id, detailsFor("logout"), callContextOf(context));
        return { success: true, message: "Session revoked successfully" };
      },
      async revokeAll(_request, context) {
        const scope = { scope: "self" } as const;
        const command = { ...detailsFor("logout"), scope, except: undefined, validateOnly: false };
        await revokeAll(deps, memberCallerOf(context), command, callContextOf(context));
        return { success: true, message: "All sessions revoked successfully" };
      },
    },
  };
}

/** `{"success":false,"error":…}`; internal errors are the documented 500. */
function writeError(failure: Failure, { method }: FailedRequest): ErrorAnswer {
  const status = failure.status >= 500 ? 500 : failure.status;
  return { status, body: { json: { success: false, error: messageOf(failure, method) } } };
}

function messageOf(failure: Failure, method: DescMethod | undefined): string {
  if (failure.status >= 500) {
    return `Failed to revoke ${method === SessionService.method.revokeAll ? "all sessions" : "session"}`;
  }
  if (failure.kind === "path_not_found") return "Not found";
  switch (failure.error.code) {
    case Code.Unauthenticated:
      return "Unauthorized";
    case Code.NotFound:
      return "Session not found";
    default:
      return failure.error.rawMessage;
  }
}
