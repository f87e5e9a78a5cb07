import { type JWTHeaderParameters, type JWTPayload, SignJWT } from "jose";
import { parseProjectId } from "../../src/domain/ids.ts";
import { KeyRing } from "../../src/domain/key-ring.ts";
import { masterKeyOf } from "../../src/domain/sealing.ts";
import { openDatabase } from "../../src/storage/database.ts";
import { postgresStore } from "../../src/storage/postgres-store.ts";
import { type RunningService, testMasterKey } from "./running-service.ts";

/** Signs what no service would, with the project's own key: for JWTs whose signature is the only thing that is right. */
export async function signedByProject(
  service: RunningService,
  payload: JWTPayload,
  header: Partial<JWTHeaderParameters> = {},
): Promise<string> {
  const projectId = parseProjectId(service.projectId);
  if (projectId === undefined) throw new Error("the service has no bootstrap project");
  const limits = { maxConnections: 1, connectTimeout: 5_000, statementTimeout: 5_000 };
  const db = openDatabase({ ...limits, url: service.databaseUrl, onConnectionError: () => undefined });
  try {
    const store = postgresStore(db, { onLostAccess: () => undefined, notify: false });
    const masterKeys = { current: masterKeyOf(Buffer.from(testMasterKey, "base64")), accepted: [] };
    const project = await store.findProject(projectId);
    if (project === undefined) throw new Error("the bootstrap project is gone");
    const { key, kid, algorithm } = await new KeyRing(store, masterKeys, () => new Date()).signingKey(
      project,
    );
    return await new SignJWT(payload)
      .setProtectedHeader({ alg: algorithm, kid, typ: "JWT", ...header })
      .sign(key);
  } finally {
    await db.destroy();
  }
}
