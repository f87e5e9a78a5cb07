import { afterAll, beforeAll, beforeEach } from "vitest";
import type { SessionId } from "../../../src/domain/ids.ts";
import type { Project } from "../../../src/domain/project.ts";
import type { Revocation, RevocationCommand, RevocationReceipt } from "../../../src/domain/revocation.ts";
import type { Session } from "../../../src/domain/sessions/session.ts";
import type { NewSession } from "../../../src/domain/store/session-store.ts";
import type { PostgresStore } from "../../../src/storage/postgres-store.ts";
import { must, revokeTarget, storedProject, storedSession } from "../../support/fixtures/stored.ts";
import { type OpenStore, openStore } from "../../support/postgres/open-store.ts";
import { useStore } from "../../support/postgres/use-store.ts";

/** Two stores on the same data, like two replicas, and a project that is new for each test. */
export interface Replicas {
  readonly store: PostgresStore;
  readonly other: PostgresStore;
  /** The database of both. */
  readonly db: OpenStore["db"];
  readonly project: Project;
  /** Alternates between the stores. */
  readonly storeOf: (i: number) => PostgresStore;
  readonly create: (overrides?: Partial<NewSession>, on?: PostgresStore) => Promise<Session>;
  readonly createWithToken: (overrides?: Partial<NewSession>) => ReturnType<typeof storedSession>;
  readonly revoke: (
    target: Session | RevocationCommand["target"],
    overrides?: Partial<RevocationCommand>,
    on?: PostgresStore,
  ) => Promise<RevocationReceipt | undefined>;
  /** Finds a session of the project on the other store. */
  readonly find: (id: SessionId) => Promise<Session | undefined>;
  readonly revocationOf: (session: Session) => Promise<Revocation | undefined>;
}

export function useReplicas(): Replicas {
  const one = useStore();
  let other: OpenStore;
  let project: Project;
  beforeAll(() => void (other = openStore(one.url)));
  beforeEach(async () => void (project = await storedProject(one.store)));
  afterAll(() => other.close());
  return {
    get store() {
      return one.store;
    },
    get other() {
      return other.store;
    },
    get db() {
      return one.db;
    },
    get project() {
      return project;
    },
    storeOf: (i) => (i % 2 === 0 ? one : other).store,
    create: async (overrides, on = one.store) => (await storedSession(on, project, overrides)).session,
    createWithToken: (overrides) => storedSession(one.store, project, overrides),
    revoke: (target, overrides, on = one.store) => {
      const named = "memberId" in target ? ({ scope: "session", id: target.id } as const) : target;
      return revokeTarget(on, project, named, overrides);
    },
    find: (id) => other.store.sessions.findSession(project.id, id),
    revocationOf: async ({ projectId, id }) =>
      must(await other.store.sessions.findSession(projectId, id)).revocation,
  };
}

/** Runs `run` `count` times at once. */
export function times<T>(count: number, run: (i: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => run(i)));
}
