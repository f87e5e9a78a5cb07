import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { JWK } from "jose";
import {
  type JsonWebKeySchema,
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
  const publishEndTime = publishEndOf(key);
  return {
    kid: key.kid,
    projectId: key.projectId,
    algorithm: protoAlgorithms[key.algorithm],
    state: protoStates[stateOfKey(key, now)],
    createTime: timestampFromDate(key.createTime),
    activateTime: timestampFromDate(key.activateTime),
    ...(key.retireTime && { retireTime: timestampFromDate(key.retireTime) }),
    ...(publishEndTime && { publishEndTime: timestampFromDate(publishEndTime) }),
    ...(key.revocation && {
      revokeTime: timestampFromDate(key.revocation.time),
      revokeRevision: BigInt(key.revocation.revision),
    }),
  };
}

/** Message of a public key. The message leaves out members that it has no field for. */
export function toJwkMessage(jwk: JWK): MessageInitShape<typeof JsonWebKeySchema> {
  const { kty = "", kid = "", alg = "", use = "", ...rest } = jwk;
  return { kty, kid, alg, use, ...rest };
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
