import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { JsonWebKeySchema } from "../../../gen/compat/stytch/v1/jwks_pb.ts";
import { SessiondError } from "../../domain/errors.ts";
import { parseProjectId } from "../../domain/ids.ts";
import { jwksCacheControl } from "../../domain/keys/key-schedule.ts";
import type { StoredSigningKey } from "../../domain/keys/signing-key.ts";
import type { SigningKeyDependencies } from "../../domain/use-cases/dependencies.ts";
import { getJwks } from "../../domain/use-cases/signing-keys.ts";
import { callContextOf, callRecordKey } from "../../rpc/call-record.ts";
import { stytchRequestId } from "./errors.ts";

/** A project's JWKS in the form of both Stytch APIs; public, and cacheable as long as the service's own. */
export async function stytchJwks(deps: SigningKeyDependencies, id: string, context: HandlerContext) {
  const projectId = parseProjectId(id);
  if (projectId === undefined) throw new SessiondError("PROJECT_NOT_FOUND");
  const { project, keys } = await getJwks(deps, projectId, callContextOf(context));
  context.responseHeader.set("cache-control", jwksCacheControl(deps.keyRing.schedule));
  const record = context.values.get(callRecordKey);
  return {
    keys: keys.map(toJwkMessage),
    statusCode: 200,
    requestId: stytchRequestId(record, project.environment),
  };
}

function toJwkMessage(jwk: StoredSigningKey["publicJwk"]): MessageInitShape<typeof JsonWebKeySchema> {
  const { kty = "", kid = "", alg = "", use = "", n = "", e = "", crv, x, y } = jwk;
  const curve = {
    ...(crv !== undefined && { crv }),
    ...(x !== undefined && { x }),
    ...(y !== undefined && { y }),
  };
  return { kty, kid, alg, use, keyOps: ["verify"], x5c: [], x5tS256: "", n, e, ...curve };
}
