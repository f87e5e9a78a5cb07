// Guards performance, not behaviour: edit it when a refactoring changes statements or plans on purpose.
import { randomBytes } from "node:crypto";
import { beforeAll, expect, test } from "vitest";
import type { Project } from "../../../src/domain/project.ts";
import { type SecretHash, hashSecret, newTokenSalt } from "../../../src/domain/token.ts";
import { useStore } from "../../support/postgres/use-store.ts";
import {
  at,
  memberId,
  newRequest,
  newSession,
  orderOf,
  revokeTarget,
  storedProject,
  storedSession,
} from "../../support/fixtures/stored.ts";

const opened = useStore();
let project: Project;

beforeAll(async () => {
  project = await storedProject(opened.store);
});

/** The first word of each statement of `call`. */
async function askedBy(call: () => Promise<unknown>): Promise<readonly string[]> {
  const statements = await opened.statementsOf(call);
  return statements.map(({ sql }) => /\w+/.exec(sql)?.[0] ?? "");
}

const revoke = async () => {
  const { session } = await storedSession(opened.store, project);
  return () => revokeTarget(opened.store, project, { scope: "session", id: session.id });
};

test("a revocation runs two statements: it reads before it locks", async () => {
  expect(await askedBy(await revoke())).toEqual(["select", "with"]);
  const cutoff = orderOf(project, { scope: "member", id: memberId("ada") });
  expect(await askedBy(() => opened.store.revocations.revoke(cutoff))).toEqual(["select", "with"]);
});

test("a login runs one statement, and a hundred concurrent logins few", async () => {
  const login = () => storedSession(opened.store, project);
  expect(await askedBy(login)).toEqual(["with"]);
  const asked = await askedBy(() => Promise.all(Array.from({ length: 100 }, login)));
  expect(asked.length).toBeLessThanOrEqual(4);
});

test("a login with a limit runs three statements, which a hundred concurrent ones share", async () => {
  const member = memberId("limited");
  const login = (max: number) => () =>
    opened.store.sessions.createSessionWithin(
      newSession(project, { memberId: member }),
      randomBytes(32) as SecretHash,
      { max, action: "end_oldest", actor: "" },
    );
  expect(await askedBy(login(1))).toEqual(["select", "select", "with", "commit"]);
  expect(await askedBy(login(1))).toEqual(["select", "select", "with", "select", "with", "commit"]);
  const asked = await askedBy(() => Promise.all(Array.from({ length: 100 }, login(5))));
  expect(asked.length).toBeLessThanOrEqual(3 * 6);
});

test("a login with a request id runs one statement, its repeat two, and a hundred concurrent ones few", async () => {
  const login = (request = newRequest()) => {
    const draft = newSession(project);
    return () => opened.store.sessions.createSessionOnce(draft, hashSecret(draft.id), request);
  };
  const request = newRequest();
  expect(await askedBy(login(request))).toEqual(["with"]);
  expect(await askedBy(login(request))).toEqual(["with", "select"]);
  const asked = await askedBy(() => Promise.all(Array.from({ length: 100 }, () => login()())));
  expect(asked.length).toBeLessThanOrEqual(4);
});

test("logins with a limit, and repeats in their batch, take the project's lock last", async () => {
  const request = newRequest();
  const login = () => {
    const draft = newSession(project, { memberId: memberId("repeated") });
    const limit = { max: 1, action: "end_oldest", actor: "" } as const;
    return opened.store.sessions.createSessionWithin(draft, hashSecret(draft.id), limit, request);
  };
  await storedSession(opened.store, project, { memberId: memberId("repeated") });
  const statements = await opened.statementsOf(() => Promise.all([login(), login()]));
  const locking = statements.findIndex(({ sql }) => sql.includes("update project_revisions"));
  expect(statements.slice(locking + 1).map(({ sql }) => sql)).toEqual(["commit"]);
  expect(statements).toHaveLength(8);
});

test("a token look-up and a replacement run one statement each", async () => {
  const { token } = await storedSession(opened.store, project);
  expect(await askedBy(() => opened.store.sessions.findSessionByToken(token))).toEqual(["select"]);
  const successor = randomBytes(32) as SecretHash;
  const replacement = {
    projectId: project.id,
    hash: token.hash,
    salt: newTokenSalt(),
    successor,
    time: at(0),
  };
  expect(await askedBy(() => opened.store.sessions.replaceToken(replacement))).toEqual(["with"]);
  expect(await askedBy(() => opened.store.sessions.findSessionByToken(token))).toEqual(["select"]);
});

test("a hundred concurrent revocations run as two batches", async () => {
  const calls = await Promise.all(Array.from({ length: 100 }, revoke));
  const [first, ...others] = calls;
  const asked = await askedBy(async () => {
    const running = first?.();
    await Promise.resolve();
    await Promise.all([running, ...others.map((call) => call())]);
  });
  expect(asked.length).toBeLessThanOrEqual(4);
});
