import { timingSafeEqual } from "node:crypto";
import { SessiondError } from "../domain/errors.ts";
import type { Project } from "../domain/project.ts";
import { type SessionCredential, findActiveSession } from "../domain/use-cases/authenticate.ts";
import type { Caller, MemberCaller, ServiceCaller } from "../domain/use-cases/caller.ts";
import type { Dependencies } from "../domain/use-cases/dependencies.ts";
import type { CallContext } from "../transport/call-context.ts";
import type { RequestCredentials, ServiceCertificate, ServiceSecret } from "./request-credentials.ts";

/** The caller of a request whose credentials are valid. */
export interface Identity {
  /** The service that called, with or without a member session of its own project. */
  readonly service: ServiceCaller | undefined;
  /** The caller whose permissions apply. */
  readonly caller: Caller;
}

/**
 * Checks credentials against the database. Fails with CREDENTIAL_INVALID for a service that is unknown or disabled, with
 * PROJECT_DISABLED for one that has proved itself and whose project is disabled, and with the reason of the session for an end user.
 * `revokes` accepts a JWT that is not valid yet.
 */
export async function identify(
  deps: Dependencies,
  credentials: RequestCredentials,
  revokes: boolean,
  call: CallContext,
): Promise<Identity> {
  const service = credentials.service && (await identifyService(deps, credentials.service, call));
  const member =
    credentials.member && (await identifyMember(deps, credentials.member, service?.project, revokes, call));
  const caller = member ?? service;
  if (caller === undefined) throw new SessiondError("CREDENTIAL_MISSING");
  return { service, caller };
}

/** Fails with PROJECT_DISABLED or CREDENTIAL_INVALID once a service's project or credential is disabled. For long-running calls. */
export async function requireStillEnabled(
  { store: { projects } }: Pick<Dependencies, "store">,
  { project, credential }: ServiceCaller,
  call: CallContext,
): Promise<void> {
  const found = await projects.findCredentials(project.id, call);
  if (found?.project.disableTime !== undefined) throw new SessiondError("PROJECT_DISABLED");
  const isEnabled = found?.credentials.some(({ id }) => id === credential.id) ?? false;
  if (!isEnabled) throw new SessiondError("CREDENTIAL_INVALID");
}

async function identifyService(
  deps: Dependencies,
  credential: ServiceSecret | ServiceCertificate,
  call: CallContext,
): Promise<ServiceCaller> {
  const found =
    "secretHash" in credential
      ? await findBySecret(deps, credential, call)
      : await deps.store.projects.findCertified(credential.names, call);
  if (found === undefined) throw new SessiondError("CREDENTIAL_INVALID");
  if (found.project.disableTime !== undefined) throw new SessiondError("PROJECT_DISABLED");
  return { kind: "service", project: found.project, credential: found.credential };
}

async function findBySecret(
  deps: Dependencies,
  { projectId, secretHash }: ServiceSecret,
  call: CallContext,
): Promise<Pick<ServiceCaller, "project" | "credential"> | undefined> {
  const found = await deps.store.projects.findCredentials(projectId, call);
  // Compares all credentials, each in constant time, so that the duration does not depend on which one matches.
  const matching = found?.credentials.filter((credential) =>
    timingSafeEqual(credential.secretHash, secretHash),
  );
  const [credential] = matching ?? [];
  return found && credential && { project: found.project, credential };
}

async function identifyMember(
  deps: Dependencies,
  credential: SessionCredential,
  within: Project | undefined,
  revokes: boolean,
  call: CallContext,
): Promise<MemberCaller> {
  const times = revokes ? "valid or early" : "valid";
  const session = await findActiveSession(deps, credential, within, call, times);
  const project = within ?? (await deps.store.projects.findProject(session.projectId, call));
  if (project === undefined || project.disableTime !== undefined) {
    throw new SessiondError("SESSION_UNKNOWN");
  }
  return { kind: "member", project, session };
}
