import type { JWK } from "jose";
import { type ServiceCaller, actorOf } from "../caller.ts";
import { SessiondError } from "../errors.ts";
import type { ProjectId } from "../ids.ts";
import type { KeyRing } from "../keys/key-ring.ts";
import type { Project } from "../project.ts";
import type { Cause } from "../revocations/revocation.ts";
import type { SigningKeyStore, StoredSigningKey } from "../keys/signing-key.ts";
import type { ProjectStore, SessionStore } from "../store.ts";
import type { WaitingRoom } from "../concurrency-limit.ts";

/** What the use cases of signing keys work with. */
export interface SigningKeyDeps {
  readonly store: Pick<ProjectStore, "findProject"> & SigningKeyStore & Pick<SessionStore, "revoke">;
  readonly keyRing: KeyRing;
  /** Where those wait who read a JWKS. They need no credential, so however many they are, they must leave room for callers. */
  readonly jwksReaders: WaitingRoom;
  readonly now: () => Date;
}

/** The newest keys of a project, newest first; PROJECT_NOT_FOUND. */
export async function listSigningKeys(
  deps: SigningKeyDeps,
  projectId: ProjectId,
): Promise<readonly StoredSigningKey[]> {
  await requireProject(deps, projectId);
  return deps.store.listSigningKeys(projectId);
}

/** Has another key take over; returns it, with the time from which it signs. PROJECT_NOT_FOUND. */
export async function rotateSigningKey(
  deps: SigningKeyDeps,
  projectId: ProjectId,
): Promise<StoredSigningKey> {
  const kid = await deps.keyRing.rotate(await requireProject(deps, projectId));
  return requireKey(deps, projectId, kid);
}

/** A key to refuse, and why. */
export interface RevokeSigningKey {
  readonly projectId: ProjectId;
  readonly kid: string;
  readonly cause: Cause;
  readonly reason: string;
}

/**
 * Refuses a key, and all that it signed, from now on; sees to it that another one signs. Idempotent. PROJECT_NOT_FOUND,
 * SIGNING_KEY_NOT_FOUND.
 */
export async function revokeSigningKey(
  deps: SigningKeyDeps,
  caller: ServiceCaller,
  { projectId, kid, cause, reason }: RevokeSigningKey,
): Promise<StoredSigningKey> {
  const project = await requireProject(deps, projectId);
  const target = { scope: "signing_key", id: kid } as const;
  const time = deps.now();
  const actor = actorOf(caller);
  const receipt = await deps.store.revoke({ projectId, target, time, cause, reason, actor, count: false });
  if (receipt === undefined) throw new SessiondError("SIGNING_KEY_NOT_FOUND");
  await deps.keyRing.maintain(project);
  return requireKey(deps, projectId, kid);
}

/** The public keys of a project, and the project; PROJECT_NOT_FOUND also for a disabled one, OVERLOADED where too many ask. */
export function getJwks(
  deps: Pick<SigningKeyDeps, "store" | "keyRing" | "jwksReaders">,
  projectId: ProjectId,
): Promise<{ project: Project; keys: readonly JWK[] }> {
  return deps.jwksReaders.during(async () => {
    const project = await requireProject(deps, projectId);
    if (project.disableTime !== undefined) throw new SessiondError("PROJECT_NOT_FOUND");
    return { project, keys: await deps.keyRing.publicJwks(project) };
  });
}

async function requireProject({ store }: Pick<SigningKeyDeps, "store">, id: ProjectId): Promise<Project> {
  const project = await store.findProject(id);
  if (project === undefined) throw new SessiondError("PROJECT_NOT_FOUND");
  return project;
}

async function requireKey(
  { store }: SigningKeyDeps,
  projectId: ProjectId,
  kid: string,
): Promise<StoredSigningKey> {
  const key = await store.findSigningKey(projectId, kid);
  if (key === undefined) throw new SessiondError("SIGNING_KEY_NOT_FOUND");
  return key;
}
