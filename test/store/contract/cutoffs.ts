import { beforeEach, expect, test } from "vitest";
import { newSessionId } from "../../../src/domain/ids.ts";
import type { Project } from "../../../src/domain/project.ts";
import type { Session } from "../../../src/domain/sessions/session.ts";
import type { PostgresStore } from "../../../src/storage/postgres-store.ts";
import { at, memberId, organizationId, storedProject, storedSession } from "../../support/fixtures/stored.ts";
import type { Replicas } from "./replicas.ts";

/** Cutoffs of a member, an organization or a project. */
export function cutoffContract(replicas: Replicas): void {
  const { create, find, revocationOf, revoke } = replicas;
  const ada = memberId("ada");
  const bob = memberId("bob");
  const acme = organizationId("acme");
  let store: PostgresStore;
  let project: Project;

  beforeEach(() => void ({ store, project } = replicas));

  const endOf = async (session: Session) => (await revocationOf(session))?.revision;

  test("each scope ends exactly its sessions", async () => {
    const adas = await create();
    const acmes = await create({ memberId: bob, organizationId: acme });
    const bobs = await create({ memberId: bob });
    const foreign = await storedSession(store, await storedProject(store), { organizationId: acme });
    const ends = () => Promise.all([adas, acmes, bobs, foreign.session].map(endOf));

    const receipt = await revoke({ scope: "organization", id: acme });
    expect(receipt).toEqual({ revision: 1, time: at(0), revokedCount: undefined });
    expect(await ends()).toEqual([undefined, 1, undefined, undefined]);
    await revoke({ scope: "member", id: ada });
    expect(await ends()).toEqual([2, 1, undefined, undefined]);
    await revoke({ scope: "project" });
    expect(await ends()).toEqual([2, 1, 3, undefined]);
  });

  test("an id of one scope has no meaning in another", async () => {
    const same = organizationId(project.id);
    const session = await create({ memberId: memberId("acme"), organizationId: organizationId("ada") });
    await revoke({ scope: "member", id: ada });
    await revoke({ scope: "organization", id: acme });
    await revoke({ scope: "organization", id: same });
    expect(await endOf(session)).toBeUndefined();
  });

  test("a cutoff without sessions takes a revision; a session created after it is active", async () => {
    expect(await revoke({ scope: "member", id: ada })).toMatchObject({ revision: 1 });
    const session = await create();
    expect(session.createdRevision).toBe(1);
    expect(await endOf(session)).toBeUndefined();
  });

  test("a revoked session keeps its first revocation", async () => {
    const session = await create({ organizationId: acme });
    await revoke({ scope: "member", id: bob }, { time: at(1) });
    await revoke({ scope: "organization", id: acme }, { time: at(2) });
    await revoke({ scope: "member", id: ada }, { time: at(3) });
    await revoke({ scope: "project" }, { time: at(4) });
    expect(await revocationOf(session)).toMatchObject({ revision: 2, scope: "organization", time: at(2) });
  });

  test("an exempted session stays active, and a later cutoff ends it", async () => {
    const spared = await create();
    const dead = await create();
    await revoke({ scope: "member", id: ada, except: spared.id });
    expect(await find(spared.id)).toEqual({ ...spared, createdRevision: 1 });
    expect(await endOf(dead)).toBe(1);
    await revoke({ scope: "project" });
    expect(await endOf(spared)).toBe(2);
    expect(await endOf(dead)).toBe(1);
  });

  test("only an active session within the scope is exempted", async () => {
    const [named, cut, bobs] = [await create(), await create(), await create({ memberId: bob })];
    await revoke(named);
    await revoke({ scope: "member", id: ada, except: named.id });
    expect([await endOf(named), await endOf(cut)]).toEqual([1, 2]);
    await revoke({ scope: "project", except: cut.id });
    expect(await endOf(cut)).toBe(2);

    const bobs2 = await create({ memberId: bob });
    await revoke({ scope: "member", id: ada, except: bobs2.id });
    expect((await find(bobs2.id))?.createdRevision).toBe(3);
    expect(await endOf(bobs)).toBe(3);
    await revoke({ scope: "member", id: bob, except: newSessionId() });
    expect(await endOf(bobs2)).toBe(5);
  });

  test("a session of another project is not exempted", async () => {
    const { session } = await storedSession(store, await storedProject(store));
    await revoke({ scope: "project", except: session.id });
    expect(await store.sessions.findSession(session.projectId, session.id)).toEqual(session);
  });

  test("counts the sessions that it ends, if requested", async () => {
    const spared = await create();
    await create();
    await create({ expireTime: at(0) });
    const target = { scope: "member", id: ada, except: spared.id } as const;
    const count = () => revoke(target, { count: true });
    expect(await count()).toMatchObject({ revision: 1, revokedCount: 1 });
    expect(await count()).toMatchObject({ revision: 2, revokedCount: 0 });
    await create();
    expect(await count()).toMatchObject({ revision: 3, revokedCount: 1 });
    expect(await endOf(spared)).toBeUndefined();
  });
}
