import { beforeEach, expect, test } from "vitest";
import { newSessionId } from "../../../src/domain/ids.ts";
import type { Project } from "../../../src/domain/project.ts";
import type { PostgresStore } from "../../../src/storage/postgres-store.ts";
import { newSessionToken, parseSessionToken } from "../../../src/domain/token.ts";
import {
  at,
  hour,
  must,
  orderOf,
  revokeTarget,
  storedProject,
  storedSession,
} from "../../support/fixtures/stored.ts";
import type { Replicas } from "./replicas.ts";

/** Revocations of one session. */
export function revocationContract(replicas: Replicas): void {
  let store: PostgresStore;
  let project: Project;

  beforeEach(async () => {
    store = replicas.one();
    project = await storedProject(store);
  });

  test("a session ended by id is revoked on every replica, with actor, time, cause and reason", async () => {
    const { session, token } = await storedSession(store, project);
    const order = orderOf(
      project,
      { scope: "session", id: session.id },
      { time: at(7), cause: "compromise", reason: 'laptop, "stolen" {in} a café', actor: "service/desk" },
    );
    expect(await store.revocations.revoke(order)).toEqual({ revision: 1, time: at(7), revokedCount: 1 });
    const { cause, reason, actor } = order;
    const dead = {
      ...session,
      revocation: { revision: 1, scope: "session", time: at(7), cause, reason, actor },
    };
    expect(await store.sessions.findSession(project.id, session.id)).toEqual(dead);
    expect((await replicas.other().sessions.findSessionByToken(token))?.session).toEqual(dead);
  });

  test("a session is ended by token", async () => {
    const { session, token } = await storedSession(store, project);
    const other = await storedSession(store, project);
    expect(await revokeTarget(store, project, { scope: "session", token })).toMatchObject({
      revision: 1,
    });
    expect((await store.sessions.findSession(project.id, session.id))?.revocation?.revision).toBe(1);
    expect((await store.sessions.findSession(project.id, other.session.id))?.revocation).toBeUndefined();
  });

  test("a second revocation returns the first receipt, counts nothing and takes no revision", async () => {
    const { session, token } = await storedSession(store, project);
    const first = await revokeTarget(store, project, { scope: "session", id: session.id }, { time: at(1) });
    for (const target of [
      { scope: "session", id: session.id },
      { scope: "session", token },
    ] as const) {
      const again = await replicas
        .other()
        .revocations.revoke(orderOf(project, target, { time: at(2), cause: "policy" }));
      expect(again).toEqual({ ...first, revokedCount: 0 });
    }
    const next = await revokeTarget(store, project, { scope: "project" });
    expect(next?.revision).toBe(2);
    expect((await store.sessions.findSession(project.id, session.id))?.revocation).toMatchObject({
      revision: 1,
      cause: "logout",
    });
  });

  test("ending a session that a cutoff has ended returns the cutoff's receipt", async () => {
    const { session } = await storedSession(store, project);
    await revokeTarget(store, project, { scope: "member", id: session.memberId }, { time: at(1) });
    await revokeTarget(store, project, { scope: "project" }, { time: at(2) });
    const receipt = await revokeTarget(store, project, { scope: "session", id: session.id }, { time: at(3) });
    expect(receipt).toEqual({ revision: 1, time: at(1), revokedCount: 0 });
    expect((await store.sessions.findSession(project.id, session.id))?.revocation?.scope).toBe("member");
  });

  test("an expired session is revoked, and not counted", async () => {
    const { session } = await storedSession(store, project);
    const receipt = await revokeTarget(
      store,
      project,
      { scope: "session", id: session.id },
      { time: at(hour) },
    );
    expect(receipt).toEqual({ revision: 1, time: at(hour), revokedCount: 0 });
  });

  test("an unknown session cannot be ended and takes no revision", async () => {
    const unknown = must(parseSessionToken(newSessionToken(project.tag)));
    expect(await revokeTarget(store, project, { scope: "session", id: newSessionId() })).toBeUndefined();
    expect(await revokeTarget(store, project, { scope: "session", token: unknown })).toBeUndefined();
    const foreign = await storedSession(store, await storedProject(store));
    const { id } = foreign.session;
    expect(await revokeTarget(store, project, { scope: "session", id })).toBeUndefined();
    expect(await revokeTarget(store, project, { scope: "session", token: foreign.token })).toBeUndefined();
    expect(await store.sessions.findSession(foreign.session.projectId, id)).toEqual(foreign.session);
    expect((await revokeTarget(store, project, { scope: "project" }))?.revision).toBe(1);
  });
}
