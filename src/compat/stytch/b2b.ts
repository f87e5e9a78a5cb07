import { SessionService } from "../../../gen/compat/stytch_b2b/v1/session_service_pb.ts";
import { type CredentialScheme, serviceScheme } from "../../auth/request-credentials.ts";
import type { SessionCredential } from "../../domain/use-cases/authenticate.ts";
import type { Dependencies, SigningKeyDependencies } from "../../domain/use-cases/dependencies.ts";
import { revoke } from "../../domain/use-cases/revoke.ts";
import { callContextOf, callRecordKey } from "../../rpc/call-record.ts";
import { callerOf } from "../../rpc/gate.ts";
import { type CompatApi, detailsFor } from "../api.ts";
import { type StytchOptions, stytchDialect, stytchRequestId } from "./errors.ts";
import { stytchJwks } from "./jwks.ts";
import { readStytchTarget } from "./target.ts";

/** Stytch's B2B session API. */
export function stytchB2b(
  deps: Dependencies & SigningKeyDependencies,
  options: StytchOptions,
): CompatApi<typeof SessionService> {
  return {
    service: SessionService,
    access: { revoke: { service: "sessions.revoke", member: true, revokes: true }, getJwks: "public" },
    scheme,
    dialect: stytchDialect(["/v1/b2b"], options),
    jwks: SessionService.method.getJwks,
    implementation: {
      async revoke({ memberSessionId, sessionToken, sessionJwt, memberId }, context) {
        const target = readStytchTarget({
          id: ["member_session_id", memberSessionId],
          token: sessionToken,
          jwt: sessionJwt,
          member: { id: memberId },
        });
        await revoke(deps, callerOf(context), target, detailsFor("unspecified"), callContextOf(context));
        return { requestId: stytchRequestId(context.values.get(callRecordKey)), statusCode: 200 };
      },
      getJwks: ({ projectId }, context) => stytchJwks(deps, projectId, context),
    },
  };
}

/** The service's credential, and the member session whose permissions apply. */
const scheme: CredentialScheme = (header, peer) => {
  const credentials = serviceScheme(header, peer);
  return credentials && { ...credentials, member: memberSession(header) };
};

function memberSession(header: Headers): SessionCredential | undefined {
  const token = header.get("x-stytch-member-session") ?? "";
  if (token !== "") return { token };
  const jwt = header.get("x-stytch-member-sessionjwt") ?? "";
  return jwt === "" ? undefined : { jwt };
}
