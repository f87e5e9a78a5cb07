import type { HandlerContext } from "@connectrpc/connect";
import { SessiondError } from "../../domain/errors.ts";
import { parseProjectId } from "../../domain/ids.ts";
import { jwksCacheControl } from "../../domain/keys/key-schedule.ts";
import type { StoredSigningKey } from "../../domain/keys/signing-key.ts";
import type { SigningKeyDependencies } from "../../domain/use-cases/dependencies.ts";
import { getJwks } from "../../domain/use-cases/signing-keys.ts";
import { callContextOf, callRecordKey } from "../../rpc/call-record.ts";
import { toJwkMessage } from "../../rpc/messages/signing-key-messages.ts";
import { stytchRequestId } from "./errors.ts";

/** A project's JWKS in the form of both Stytch APIs; public, and cacheable as long as the service's own. */
export async function stytchJwks(deps: SigningKeyDependencies, id: string, context: HandlerContext) {
  const projectId = parseProjectId(id);
  if (projectId === undefined) throw new SessiondError("PROJECT_NOT_FOUND");
  const { project, keys } = await getJwks(deps, projectId, callContextOf(context));
  context.responseHeader.set("cache-control", jwksCacheControl(deps.keyRing.schedule));
  const record = context.values.get(callRecordKey);
  return {
    keys: keys.map(toStytchJwk),
    statusCode: 200,
    requestId: stytchRequestId(record, project.environment),
  };
}

/** Stytch's typed clients require members that are empty: those of a certificate, and those of RSA. */
function toStytchJwk(jwk: StoredSigningKey["publicJwk"]) {
  return { n: "", e: "", ...toJwkMessage(jwk), x5c: { values: [] }, x5tS256: "" };
}
