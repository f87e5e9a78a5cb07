import { beforeEach, expect, test } from "vitest";
import { newSessionId, parseActingUser } from "../../../src/domain/ids.ts";
import type { Project } from "../../../src/domain/project.ts";
import type { PostgresStore } from "../../../src/storage/postgres-store.ts";
import { newSessionToken, parseSessionToken } from "../../../src/domain/token.ts";
import { at, must, storedProject, storedSession } from "../../support/fixtures/stored.ts";
import type { Replicas } from "./replicas.ts";

/** Revocations of one session. */
export function revocationContract(replicas: Replicas): void {
  const { create, createWithToken, find, revocationOf, revoke } = replicas;
  let store: PostgresStore;
  let project: Project;

  beforeEach(() => void ({ store, project } = replicas));

  test("a session ended by id is revoked on every replica, with actor, time, cause and reason", async () => {
    const { session, token } = await createWithToken();
    const reason = 'laptop, "stolen" {in} a café';
    const why = {
      cause: "compromise",
      reason,
      actor: "service/desk",
      actingUser: must(parseActingUser("Zoë Ådal")),
    } as const;
    const receipt = await revoke(session, { time: at(7), ...why });
    expect(receipt).toEqual({ revision: 1, time: at(7), revokedCount: 1 });
    const dead = { ...session, revocation: { revision: 1, scope: "session", time: at(7), ...why } };
    expect(await store.sessions.findSession(project.id, session.id)).toEqual(dead);
    expect(await find(session.id)).toEqual(dead);
    expect((await replicas.other.sessions.findSessionByToken(token))?.session).toEqual(dead);
  });

  test("a second revocation returns the first receipt, counts nothing and takes no revision", async () => {
    const { session, token } = await createWithToken();
    const [ada, bob] = [must(parseActingUser("Ada")), must(parseActingUser("Bob"))];
    const first = await revoke(session, { time: at(1), actingUser: ada });
    for (const target of [session, { scope: "session", token } as const]) {
      const again = await revoke(target, { time: at(2), cause: "policy", actingUser: bob }, replicas.other);
      expect(again).toEqual({ ...first, revokedCount: 0 });
    }
    const next = await revoke({ scope: "project" });
    expect(next?.revision).toBe(2);
    expect(await revocationOf(session)).toMatchObject({ revision: 1, cause: "logout", actingUser: ada });
  });

  test("ending a session that a cutoff has ended returns the cutoff's receipt", async () => {
    const session = await create();
    await revoke({ scope: "member", id: session.memberId }, { time: at(1) });
    await revoke({ scope: "project" }, { time: at(2) });
    const receipt = await revoke(session, { time: at(3) });
    expect(receipt).toEqual({ revision: 1, time: at(1), revokedCount: 0 });
    expect((await revocationOf(session))?.scope).toBe("member");
  });

  test("an unknown session cannot be ended and takes no revision", async () => {
    const unknown = must(parseSessionToken(newSessionToken(project.tag)));
    expect(await revoke({ scope: "session", id: newSessionId() })).toBeUndefined();
    expect(await revoke({ scope: "session", token: unknown })).toBeUndefined();
    const foreign = await storedSession(store, await storedProject(store));
    const { id } = foreign.session;
    expect(await revoke({ scope: "session", id })).toBeUndefined();
    expect(await revoke({ scope: "session", token: foreign.token })).toBeUndefined();
    expect(await store.sessions.findSession(foreign.session.projectId, id)).toEqual(foreign.session);
    expect((await revoke({ scope: "project" }))?.revision).toBe(1);
  });
}
