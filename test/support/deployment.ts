import { randomBytes } from "node:crypto";
import type { MemberCaller, ServiceCaller } from "../../src/domain/caller.ts";
import { newCredentialId } from "../../src/domain/ids.ts";
import { SessionJwts } from "../../src/domain/jwt.ts";
import { KeyRing } from "../../src/domain/key-ring.ts";
import type { Policy } from "../../src/domain/policy.ts";
import type { Project } from "../../src/domain/project.ts";
import { masterKeyOf } from "../../src/domain/sealing.ts";
import type { Session } from "../../src/domain/session.ts";
import type { Store } from "../../src/domain/store.ts";
import { type CreateSession, createSession } from "../../src/domain/use-cases/create-session.ts";
import type { Deps } from "../../src/domain/use-cases/deps.ts";
import { WaitingRoom } from "../../src/domain/waiting-room.ts";
import { type OpenStore, openStore } from "./open-store.ts";
import { at, memberId, start, storedProject } from "./stored.ts";

/** What the use cases work with, on a real database and under a clock that the test moves. */
export interface Deployment extends Deps {
  readonly store: Store;
  readonly keyRing: KeyRing;
  readonly jwksReaders: WaitingRoom;
  readonly opened: OpenStore;
  /** Sets the clock to `ms` milliseconds after its start. */
  setClock(ms: number): void;
}

/** Opens a deployment on a migrated database; close `opened` at the end. */
export function openDeployment(url: string): Deployment {
  const opened = openStore(url);
  let time = start;
  const now = () => time;
  const keyRing = new KeyRing(opened.store, { current: masterKeyOf(randomBytes(32)), accepted: [] }, now);
  const jwts = new SessionJwts(keyRing, "https://sessions.example.com");
  const jwksReaders = new WaitingRoom(Infinity);
  return { store: opened.store, keyRing, jwksReaders, jwts, now, opened, setClock: (ms) => (time = at(ms)) };
}

/** A service of a new project. */
export async function newService(
  deployment: Deployment,
  policy: Partial<Policy> = {},
): Promise<ServiceCaller> {
  const project = await storedProject(deployment.store);
  await deployment.store.updatePolicy(project.id, { ...project.policy, ...policy });
  return serviceOf({ ...project, policy: { ...project.policy, ...policy } });
}

/** A service of this project. */
export function serviceOf(project: Project): ServiceCaller {
  const credential = {
    projectId: project.id,
    id: newCredentialId(),
    displayName: "Login service",
    permissions: [],
    createTime: start,
    disableTime: undefined,
  };
  return { kind: "service", project, credential };
}

/** A login of member `ada`, with what differs. */
export function login(
  deployment: Deployment,
  caller: ServiceCaller,
  overrides: Partial<CreateSession> = {},
): Promise<{ session: Session; token: string; jwt: string }> {
  return createSession(deployment, caller, {
    memberId: memberId("ada"),
    organizationId: undefined,
    device: { userAgent: "", ipAddress: "" },
    authenticationFactors: [],
    roles: [],
    customClaims: {},
    lifetime: undefined,
    idleTimeout: undefined,
    ...overrides,
  });
}

/** An end user who calls with a new session. */
export async function newEndUser(
  deployment: Deployment,
  service: ServiceCaller,
  overrides: Partial<CreateSession> = {},
): Promise<MemberCaller> {
  const { session } = await login(deployment, service, overrides);
  return { kind: "member", project: service.project, session };
}
