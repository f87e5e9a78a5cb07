import type { JWK } from "jose";
import type { CallContext } from "../../transport/call-context.ts";
import { SessiondError } from "../errors.ts";
import { type ProjectId, isStorable } from "../ids.ts";
import { cutPage, parsePage } from "../page.ts";
import type { Project } from "../project.ts";
import type { Cause } from "../revocation.ts";
import type { StoredSigningKey } from "../keys/signing-key.ts";
import { type ServiceCaller, actorOf } from "./caller.ts";
import type { SigningKeyDependencies } from "./dependencies.ts";
import { getProject, requireEnabled } from "./projects.ts";

/** Lists a page of a project's keys, newest first; PROJECT_NOT_FOUND. */
export async function listSigningKeys(
  deps: SigningKeyDependencies,
  projectId: ProjectId,
  pageSize: number,
  pageToken: string,
  call: CallContext,
): Promise<{ keys: readonly StoredSigningKey[]; nextPageToken: string }> {
  const filters = ["signing keys", projectId];
  const page = parsePage(pageSize, pageToken, filters, (kid) => (isStorable(kid) ? kid : undefined));
  await getProject(deps, projectId, call);
  const rows = await deps.store.signingKeys.pageSigningKeys(projectId, page, call);
  const cut = cutPage(rows, page, filters, (key) => key.kid);
  return { keys: cut.rows, nextPageToken: cut.nextPageToken };
}

/** Starts a rotation; returns the next key, with the time from which it signs. PROJECT_NOT_FOUND, PROJECT_NOT_ACTIVE. */
export async function rotateSigningKey(
  deps: SigningKeyDependencies,
  projectId: ProjectId,
  call: CallContext,
): Promise<StoredSigningKey> {
  const project = await getProject(deps, projectId, call);
  requireEnabled(project);
  const kid = await deps.keyRing.rotate(project, call);
  const key = await requireKey(deps, projectId, kid);
  // No key is scheduled if the project was disabled meanwhile.
  if (key.activateTime <= deps.now()) requireEnabled(await getProject(deps, projectId, call));
  return key;
}

export interface RevokeSigningKey {
  readonly projectId: ProjectId;
  readonly kid: string;
  readonly cause: Cause;
  readonly reason: string;
}

/**
 * Refuses a key, and all that it signed, from now on, and ensures that another one signs unless the project is disabled.
 * Idempotent. PROJECT_NOT_FOUND, SIGNING_KEY_NOT_FOUND.
 */
export async function revokeSigningKey(
  deps: SigningKeyDependencies,
  caller: ServiceCaller,
  { projectId, kid, cause, reason }: RevokeSigningKey,
  call: CallContext,
): Promise<StoredSigningKey> {
  const project = await getProject(deps, projectId, call);
  const target = { scope: "signing_key", id: kid } as const;
  const time = deps.now();
  const who = { actor: actorOf(caller), actingUser: caller.actingUser };
  const command = { ...who, projectId, target, time, cause, reason, count: false };
  const receipt = await deps.store.revocations.revoke(command, call);
  if (receipt === undefined) throw new SessiondError("SIGNING_KEY_NOT_FOUND");
  if (project.disableTime === undefined) await deps.keyRing.maintain(project, call);
  return requireKey(deps, projectId, kid);
}

/** Reads a project and its public keys. PROJECT_NOT_FOUND, also for a disabled one; OVERLOADED beyond the limit of readers. */
export function getJwks(
  deps: Pick<SigningKeyDependencies, "store" | "keyRing" | "jwksReaders">,
  projectId: ProjectId,
  call: CallContext,
): Promise<{ project: Project; keys: readonly JWK[] }> {
  return deps.jwksReaders.run(async () => {
    const project = await getProject(deps, projectId, call);
    if (project.disableTime !== undefined) throw new SessiondError("PROJECT_NOT_FOUND");
    return { project, keys: await deps.keyRing.publicJwks(project, call) };
  });
}

async function requireKey({ store }: SigningKeyDependencies, projectId: ProjectId, kid: string) {
  const key = await store.signingKeys.findSigningKey(projectId, kid);
  if (key === undefined) throw new SessiondError("SIGNING_KEY_NOT_FOUND");
  return key;
}
