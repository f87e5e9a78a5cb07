import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { JWK } from "jose";
import {
  SignatureAlgorithm as ProtoAlgorithm,
  SigningKeyState as ProtoState,
  type SigningKeySchema,
} from "../../../gen/session/v1/project_pb.ts";
import type { SignatureAlgorithm } from "../../jwt/signature.ts";
import {
  type SigningKeyState,
  type StoredSigningKey,
  publishEndOf,
  stateOfKey,
} from "../../domain/keys/signing-key.ts";

/** Message of a signing key at `now`, without its private part. */
export function toSigningKeyMessage(
  key: StoredSigningKey,
  now: Date,
): MessageInitShape<typeof SigningKeySchema> {
  const unpublishTime = publishEndOf(key);
  return {
    kid: key.kid,
    projectId: key.projectId,
    algorithm: protoAlgorithms[key.algorithm],
    state: protoStates[stateOfKey(key, now)],
    createTime: timestampFromDate(key.createTime),
    activateTime: timestampFromDate(key.activateTime),
    ...(key.retireTime && { retireTime: timestampFromDate(key.retireTime) }),
    ...(unpublishTime && { unpublishTime: timestampFromDate(unpublishTime) }),
    ...(key.revocation && {
      revokeTime: timestampFromDate(key.revocation.time),
      revokeRevision: BigInt(key.revocation.revision),
    }),
  };
}

/** Message of a public key. */
export function toJwkMessage(jwk: JWK) {
  const { kty = "", kid = "", alg = "", use = "", crv, x, y, n, e } = jwk;
  const members = Object.entries({ crv, x, y, n, e }).filter(([, value]) => value !== undefined);
  return { kty, kid, alg, use, keyOps: ["verify"], ...Object.fromEntries(members) };
}

const protoStates: Record<SigningKeyState, ProtoState> = {
  next: ProtoState.NEXT,
  active: ProtoState.ACTIVE,
  retired: ProtoState.RETIRED,
  revoked: ProtoState.REVOKED,
};

export const protoAlgorithms: Record<SignatureAlgorithm, ProtoAlgorithm> = {
  ES256: ProtoAlgorithm.ES256,
  EdDSA: ProtoAlgorithm.EDDSA,
  RS256: ProtoAlgorithm.RS256,
};
