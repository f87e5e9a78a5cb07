import { SessionService } from "../../../gen/compat/stytch/v1/session_service_pb.ts";
import { serviceScheme } from "../../auth/request-credentials.ts";
import type { Dependencies, SigningKeyDependencies } from "../../domain/use-cases/dependencies.ts";
import { revoke } from "../../domain/use-cases/revoke.ts";
import { callContextOf, callRecordKey } from "../../rpc/call-record.ts";
import { serviceCallerOf } from "../../rpc/gate.ts";
import { type CompatApi, detailsFor } from "../api.ts";
import { type StytchOptions, stytchDialect, stytchRequestId } from "./errors.ts";
import { stytchJwks } from "./jwks.ts";
import { readStytchTarget } from "./target.ts";

/** Stytch's consumer session API. */
export function stytch(
  deps: Dependencies & SigningKeyDependencies,
  options: StytchOptions,
): CompatApi<typeof SessionService> {
  return {
    service: SessionService,
    access: { revoke: { service: "sessions.revoke" }, getJwks: "public" },
    scheme: serviceScheme,
    dialect: stytchDialect(["/v1"], options),
    jwks: SessionService.method.getJwks,
    implementation: {
      async revoke({ sessionId, sessionToken, sessionJwt }, context) {
        const given = { id: ["session_id", sessionId], token: sessionToken, jwt: sessionJwt } as const;
        const target = readStytchTarget(given);
        const caller = serviceCallerOf(context);
        await revoke(deps, caller, target, detailsFor("unspecified"), callContextOf(context));
        return { statusCode: 200, requestId: stytchRequestId(context.values.get(callRecordKey)) };
      },
      getJwks: ({ projectId }, context) => stytchJwks(deps, projectId, context),
    },
  };
}
