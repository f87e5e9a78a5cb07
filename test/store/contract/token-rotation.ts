import { beforeEach, expect, test } from "vitest";
import type { Project } from "../../../src/domain/project.ts";
import type { PostgresStore } from "../../../src/storage/postgres-store.ts";
import {
  type TokenRef,
  newSessionToken,
  newTokenSalt,
  parseSessionToken,
} from "../../../src/domain/token.ts";
import { at, must, storedProject, storedSession } from "../../support/fixtures/stored.ts";
import type { Replicas } from "./replicas.ts";

/** Token rotation. */
export function tokenRotationContract(replicas: Replicas): void {
  let stores: readonly [PostgresStore, PostgresStore];
  let project: Project;

  beforeEach(async () => {
    stores = [replicas.one(), replicas.other()];
    project = await storedProject(stores[0]);
  });

  const newToken = (): TokenRef => must(parseSessionToken(newSessionToken(project.tag)));
  const replace = (store: PostgresStore, { hash }: TokenRef, { hash: successor }: TokenRef, time = at(1)) => {
    const salt = newTokenSalt();
    return store.sessions
      .replaceToken({ projectId: project.id, hash, salt, successor, time })
      .then((replaced) => (replaced ? salt : undefined));
  };

  test("both tokens find the session, the old one with its replacement", async () => {
    const { session, token } = await storedSession(stores[0], project);
    const successor = newToken();
    const salt = await replace(stores[0], token, successor);
    expect(salt).toBeDefined();
    expect(await stores[1].sessions.findSessionByToken(token)).toEqual({
      session,
      replaced: { time: at(1), salt },
    });
    expect(await stores[1].sessions.findSessionByToken(successor)).toEqual({ session, replaced: undefined });
  });

  test("one of many concurrent replacements on two replicas succeeds, and the others store no token", async () => {
    const { token } = await storedSession(stores[0], project);
    const successors = Array.from({ length: 40 }, newToken);
    const salts = await Promise.all(
      successors.map((successor, i) => replace(stores[i % 2 === 0 ? 0 : 1], token, successor)),
    );
    const winner = salts.findIndex((salt) => salt !== undefined);
    expect(salts.filter((salt) => salt !== undefined)).toHaveLength(1);
    expect((await stores[0].sessions.findSessionByToken(token))?.replaced?.salt).toEqual(salts[winner]);
    const found = await Promise.all(
      successors.map((successor) => stores[1].sessions.findSessionByToken(successor)),
    );
    expect(found.findIndex((one) => one !== undefined)).toBe(winner);
    expect(found.filter((one) => one !== undefined)).toHaveLength(1);
  });

  test("an unknown token, or one of another project, is not replaced", async () => {
    const { token } = await storedSession(stores[0], await storedProject(stores[0]));
    for (const unknown of [newToken(), token]) {
      expect(await replace(stores[0], unknown, newToken())).toBeUndefined();
    }
    expect((await stores[0].sessions.findSessionByToken(token))?.replaced).toBeUndefined();
  });

  test("keeps the last thousand replaced tokens of a session, and those of other sessions", async () => {
    const other = await storedSession(stores[0], project);
    await replace(stores[0], other.token, newToken(), at(0));
    const { token } = await storedSession(stores[0], project);
    const tokens = [token];
    for (let i = 1; i <= 1003; i++) {
      const successor = newToken();
      await replace(stores[0], must(tokens.at(-1)), successor, at(i));
      tokens.push(successor);
    }
    const found = await Promise.all(tokens.map((one) => stores[1].sessions.findSessionByToken(one)));
    expect(found.map((one) => one !== undefined)).toEqual(tokens.map((_, i) => i >= 3));
    expect(found.filter((one) => one?.replaced !== undefined)).toHaveLength(1000);
    expect(await stores[1].sessions.findSessionByToken(other.token)).toBeDefined();
  });
}
