import { beforeEach, expect, test } from "vitest";
import type { Project } from "../../../src/domain/project.ts";
import type { PostgresStore } from "../../../src/storage/postgres-store.ts";
import { newSessionToken, newTokenSalt, parseSessionToken } from "../../../src/domain/token.ts";
import { at, must, storedProject, storedSession } from "../../support/fixtures/stored.ts";
import type { Replicas } from "./replicas.ts";

/** Token rotation. */
export function tokenRotationContract(replicas: Replicas): void {
  const { createWithToken, storeOf } = replicas;
  let store: PostgresStore;
  let project: Project;

  beforeEach(() => void ({ store, project } = replicas));

  const newToken = () => must(parseSessionToken(newSessionToken(project.tag)));
  type Token = ReturnType<typeof newToken>;
  const replace = async (store: PostgresStore, { hash }: Token, { hash: successor }: Token, time = at(1)) => {
    const salt = newTokenSalt();
    const replacement = { projectId: project.id, hash, salt, successor, time };
    return (await store.sessions.replaceToken(replacement)) ? salt : undefined;
  };

  test("both tokens find the session, the old one with its replacement", async () => {
    const { session, token } = await createWithToken();
    const successor = newToken();
    const salt = await replace(store, token, successor);
    expect(salt).toBeDefined();
    const { sessions } = replicas.other;
    const replaced = { time: at(1), salt };
    expect(await sessions.findSessionByToken(token)).toEqual({ session, replaced });
    expect(await sessions.findSessionByToken(successor)).toEqual({ session, replaced: undefined });
  });

  test("one of many concurrent replacements on two replicas succeeds, and the others store no token", async () => {
    const { token } = await createWithToken();
    const successors = Array.from({ length: 40 }, newToken);
    const salts = await Promise.all(successors.map((successor, i) => replace(storeOf(i), token, successor)));
    const winner = salts.findIndex((salt) => salt !== undefined);
    expect(salts.filter((salt) => salt !== undefined)).toHaveLength(1);
    expect((await store.sessions.findSessionByToken(token))?.replaced?.salt).toEqual(salts[winner]);
    const found = await Promise.all(
      successors.map((successor) => replicas.other.sessions.findSessionByToken(successor)),
    );
    expect(found.findIndex((one) => one !== undefined)).toBe(winner);
    expect(found.filter((one) => one !== undefined)).toHaveLength(1);
  });

  test("an unknown token, or one of another project, is not replaced", async () => {
    const { token } = await storedSession(store, await storedProject(store));
    for (const unknown of [newToken(), token]) {
      expect(await replace(store, unknown, newToken())).toBeUndefined();
    }
    expect((await store.sessions.findSessionByToken(token))?.replaced).toBeUndefined();
  });

  test("keeps the last thousand replaced tokens of a session, and those of other sessions", async () => {
    const other = await createWithToken();
    await replace(store, other.token, newToken(), at(0));
    const { token } = await createWithToken();
    const tokens = [token];
    for (let i = 1; i <= 1003; i++) {
      const successor = newToken();
      await replace(store, must(tokens.at(-1)), successor, at(i));
      tokens.push(successor);
    }
    const found = await Promise.all(tokens.map((one) => replicas.other.sessions.findSessionByToken(one)));
    expect(found.map((one) => one !== undefined)).toEqual(tokens.map((_, i) => i >= 3));
    expect(found.filter((one) => one?.replaced !== undefined)).toHaveLength(1000);
    expect(await replicas.other.sessions.findSessionByToken(other.token)).toBeDefined();
  });
}
