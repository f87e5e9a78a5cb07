import { timingSafeEqual } from "node:crypto";
import type { Caller, MemberCaller, ServiceCaller } from "../domain/caller.ts";
import { SessiondError } from "../domain/errors.ts";
import type { Project } from "../domain/project.ts";
import { type SessionCredential, findActiveSession } from "../domain/use-cases/authenticate.ts";
import type { Deps } from "../domain/use-cases/deps.ts";
import type { PresentedCredential, ServiceCertificate, ServiceSecret } from "./request-credentials.ts";

/** A checked credential. */
export interface Identity {
  /** The service that called, with a member session of its own project or without. */
  readonly service: ServiceCaller | undefined;
  /** With whose permissions the call runs. */
  readonly caller: Caller;
}

/**
 * Checks what was presented, asking the database. CREDENTIAL_INVALID for a service that is unknown or disabled; for an end
 * user the reason that tells what is wrong with the session.
 */
export async function identify(deps: Deps, presented: PresentedCredential): Promise<Identity> {
  const service = presented.service && (await identifyService(deps, presented.service));
  const member = presented.member && (await identifyMember(deps, presented.member, service?.project));
  const caller = member ?? service;
  if (caller === undefined) throw new SessiondError("CREDENTIAL_MISSING");
  return { service, caller };
}

/** Fails with CREDENTIAL_INVALID once the credential of a service, or its project, was disabled: for calls that last. */
export async function requireStillEnabled(deps: Pick<Deps, "store">, caller: ServiceCaller): Promise<void> {
  const found = await deps.store.findCredentials(caller.project.id);
  const isEnabled = found?.credentials.some(({ id }) => id === caller.credential.id) ?? false;
  if (!isEnabled || found?.project.disableTime !== undefined) throw new SessiondError("CREDENTIAL_INVALID");
}

async function identifyService(
  deps: Deps,
  presented: ServiceSecret | ServiceCertificate,
): Promise<ServiceCaller> {
  const found =
    "secretHash" in presented
      ? await findBySecret(deps, presented)
      : await deps.store.findCertified(presented.names);
  if (found === undefined) throw new SessiondError("CREDENTIAL_INVALID");
  if (found.project.disableTime !== undefined) {
    throw new SessiondError("CREDENTIAL_INVALID", { isGenuine: true });
  }
  return { kind: "service", project: found.project, credential: found.credential };
}

async function findBySecret(
  deps: Deps,
  { projectId, secretHash }: ServiceSecret,
): Promise<Pick<ServiceCaller, "project" | "credential"> | undefined> {
  const found = await deps.store.findCredentials(projectId);
  // Every credential is compared, in constant time, whichever fits.
  const fitting = found?.credentials.filter((credential) =>
    timingSafeEqual(credential.secretHash, secretHash),
  );
  const [credential] = fitting ?? [];
  return found && credential && { project: found.project, credential };
}

async function identifyMember(
  deps: Deps,
  credential: SessionCredential,
  within: Project | undefined,
): Promise<MemberCaller> {
  const session = await findActiveSession(deps, credential, within);
  const project = within ?? (await deps.store.findProject(session.projectId));
  if (project === undefined || project.disableTime !== undefined) {
    throw new SessiondError("SESSION_UNKNOWN", { isGenuine: true });
  }
  return { kind: "member", project, session };
}
