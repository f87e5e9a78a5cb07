import type { Kysely, Selectable } from "kysely";
import type { ProjectId } from "../domain/ids.ts";
import type { SigningKeyStore, StoredSigningKey } from "../domain/key-ring.ts";
import type { SigningKeysTable, Tables } from "./tables.ts";

/** The part of the store that keeps signing keys. */
export function signingKeyStore(db: Kysely<Tables>): SigningKeyStore {
  const ofProject = (projectId: ProjectId) =>
    db.selectFrom("signing_keys").selectAll().where("project_id", "=", projectId);
  const activeSigningKey = async (projectId: ProjectId) => {
    const row = await ofProject(projectId).where("state", "=", "active").executeTakeFirst();
    return row && toSigningKey(row);
  };
  return {
    activeSigningKey,
    activateFirstSigningKey: async (key) => {
      await db
        .insertInto("signing_keys")
        .values(toRow(key))
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      const active = await activeSigningKey(key.projectId);
      if (active === undefined)
        throw new Error(`project ${key.projectId} has no active signing key just after getting one`);
      return active;
    },
    signingKey: async (projectId, kid) => {
      const row = await ofProject(projectId).where("kid", "=", kid).executeTakeFirst();
      return row && toSigningKey(row);
    },
    signingKeys: async (projectId) =>
      (await ofProject(projectId).orderBy("create_time").execute()).map(toSigningKey),
  };
}

function toRow(key: StoredSigningKey) {
  return {
    project_id: key.projectId,
    kid: key.kid,
    algorithm: key.algorithm,
    state: "active" as const,
    public_jwk: JSON.stringify(key.publicJwk),
    sealed_private_key: key.sealedPrivateKey,
    master_key_id: key.masterKeyId,
    create_time: key.createTime,
  };
}

function toSigningKey(row: Selectable<SigningKeysTable>): StoredSigningKey {
  return {
    projectId: row.project_id as ProjectId,
    kid: row.kid,
    algorithm: row.algorithm,
    publicJwk: row.public_jwk,
    sealedPrivateKey: row.sealed_private_key,
    masterKeyId: row.master_key_id,
    createTime: row.create_time,
  };
}
