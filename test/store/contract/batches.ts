import { randomBytes } from "node:crypto";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { newSessionId } from "../../../src/domain/ids.ts";
import type { Project } from "../../../src/domain/project.ts";
import type { CutoffTarget, RevocationCommand, SessionTarget } from "../../../src/domain/revocation.ts";
import type { NewSession } from "../../../src/domain/store/session-store.ts";
import { type SecretHash, newSessionToken, parseSessionToken } from "../../../src/domain/token.ts";
import { RevocationModel } from "../../support/fixtures/in-memory.ts";
import {
  at,
  disableProject,
  memberId,
  must,
  newProject,
  newSession,
  orderOf,
  organizationId,
  revokeTarget,
  storedProject,
  storedSession,
} from "../../support/fixtures/stored.ts";
import { type Replicas, times } from "./replicas.ts";

interface Draft {
  readonly kind: "id" | "token" | "member" | "organization" | "project";
  /** Index of a session, member or organization; unknown beyond the last. */
  readonly which: number;
  readonly except: number | undefined;
  readonly count: boolean;
}

const drafts = fc.array(
  fc.record<Draft>({
    kind: fc.constantFrom("id", "id", "token", "member", "organization", "project"),
    which: fc.nat(7),
    except: fc.option(fc.nat(7), { nil: undefined }),
    count: fc.boolean(),
  }),
  { minLength: 1, maxLength: 12 },
);

/** Revocations and logins that share a statement. */
export function batchContract(replicas: Replicas): void {
  const { create, revocationOf, revoke } = replicas;

  test("batches of mixed revocations have the results of single ones", async () => {
    const { store } = replicas;
    const property = fc.asyncProperty(fc.array(drafts, { minLength: 1, maxLength: 3 }), async (batches) => {
      const project = await storedProject(store);
      const population = await populate(replicas, project);
      const model = new RevocationModel(population.map(({ session }) => session));
      for (const [i, batch] of batches.entries()) {
        const orders = batch.map((draft, j) => {
          const details = { count: draft.count, time: at(100 * i + j) };
          return orderOf(project, targetOf(project, population, draft), details);
        });
        // Counting revocations have transactions of their own, so they run one after the other here.
        const together = orders.filter((order) => !counts(order));
        const receipts = await Promise.all(together.map((order) => store.revocations.revoke(order)));
        for (const order of orders.filter(counts)) receipts.push(await store.revocations.revoke(order));
        const expected = [...together, ...orders.filter(counts)].map((order) =>
          model.revoke(order, sessionOf(population, order)),
        );
        expect(receipts).toEqual(expected);
      }
      for (const { session, token } of population) {
        const found = must((await replicas.other.sessions.findSessionByToken(token))?.session);
        const { revision, time } = found.revocation ?? {};
        expect(revision && { revision, time }).toEqual(model.endOf(session.id));
      }
    });
    await fc.assert(property, { numRuns: 40 });
  });

  test("a session exempted and then ended in one batch has the right revocation", async () => {
    const session = await create();
    const held = revoke({ scope: "member", id: memberId("nobody") });
    const [, cut, ended] = await Promise.all([
      held,
      revoke({ scope: "member", id: session.memberId, except: session.id }),
      revoke(session, { time: at(9) }),
    ]);
    expect([cut?.revision, ended?.revision]).toEqual([2, 3]);
    const revocation = await revocationOf(session);
    expect(revocation).toMatchObject({ revision: 3, scope: "session", time: at(9) });
    const again = await revoke(session);
    expect(again).toEqual({ ...ended, revokedCount: 0 });
  });

  test("logins that share a statement have the results of single ones", async () => {
    const { store } = replicas;
    const [one, two, disabled] = (await times(3, () => storedProject(store))) as [Project, Project, Project];
    await disableProject(store, disabled, at(0));
    await revokeTarget(store, two, { scope: "project" });
    const full: Partial<NewSession> = {
      memberId: memberId('o\'neill "{1,2}" \\ é'),
      organizationId: organizationId("acme, inc."),
      idleTimeout: 1234,
      device: { userAgent: 'Mozilla/5.0 ("{x}", \\)', ipAddress: "::1" },
      authenticationFactors: [
        { method: "otp", deliveryMethod: "sms", assuranceLevel: "aal2", authenticateTime: at(-1) },
      ],
      roles: ["a", 'b "c", {d}', "", "null", "NULL", "\\"],
      customClaims: { nested: { ké: [1.5, null, true, "x"] } },
      createTime: at(1),
      lastAccessTime: at(2),
      expireTime: at(3),
    };
    const projects = [one, two, disabled, newProject(), one, two, one];
    const drafts = projects.map((project, i) => newSession(project, i > 4 ? full : {}));
    const hashes = drafts.map(() => randomBytes(32) as SecretHash);
    const unstorable = newSession(one, { device: { userAgent: "\0", ipAddress: "" } });
    const [refused, ...created] = await Promise.allSettled([
      store.sessions.createSession(unstorable, randomBytes(32) as SecretHash),
      ...drafts.map((draft, i) => store.sessions.createSession(draft, must(hashes[i]))),
    ]);
    expect(refused?.status).toBe("rejected");
    const expected = drafts.map((draft, i) =>
      i === 2 || i === 3
        ? undefined
        : { ...draft, createdRevision: projects[i] === two ? 1 : 0, revocation: undefined },
    );
    expect(created).toEqual(expected.map((value) => ({ status: "fulfilled", value })));
    const found = drafts.map(({ projectId, id }) => replicas.other.sessions.findSession(projectId, id));
    expect(await Promise.all(found)).toEqual(expected);
    const byToken = hashes.map((hash, i) =>
      replicas.other.sessions.findSessionByToken({ tag: must(projects[i]).tag, hash }),
    );
    expect((await Promise.all(byToken)).map((one) => one?.session)).toEqual(expected);
    expect(await store.sessions.findSession(one.id, unstorable.id)).toBeUndefined();
  });

  test("one command that cannot be stored fails alone", async () => {
    const { store, project } = replicas;
    const session = await create();
    const unstorable = orderOf(project, { scope: "project" }, { reason: "\0" });
    const outcomes = await Promise.allSettled([
      revoke({ scope: "member", id: memberId("bob") }),
      store.revocations.revoke(unstorable),
      revoke(session),
      revoke({ scope: "session", id: newSessionId() }),
    ]);
    expect(outcomes).toMatchObject([
      { status: "fulfilled", value: { revision: 1 } },
      { status: "rejected" },
      { status: "fulfilled", value: { revision: 2, revokedCount: 1 } },
      { status: "fulfilled", value: undefined },
    ]);
  });
}

type Population = Awaited<ReturnType<typeof storedSession>>[];

function populate(replicas: Replicas, project: Project): Promise<Population> {
  return times(6, (i) =>
    storedSession(replicas.store, project, {
      memberId: memberId(`member-${i % 3}`),
      organizationId: i % 2 ? organizationId(`organization-${i % 4}`) : undefined,
      ...(i === 5 ? { expireTime: at(50) } : {}),
    }),
  );
}

function targetOf(project: Project, population: Population, draft: Draft): SessionTarget | CutoffTarget {
  const { kind, which } = draft;
  const except =
    draft.except === undefined ? undefined : (population[draft.except]?.session.id ?? newSessionId());
  switch (kind) {
    case "id":
      return { scope: "session", id: population[which]?.session.id ?? newSessionId() };
    case "token":
      return {
        scope: "session",
        token: population[which]?.token ?? must(parseSessionToken(newSessionToken(project.tag))),
      };
    case "member":
      return { scope: "member", id: memberId(`member-${which % 4}`), except };
    case "organization":
      return { scope: "organization", id: organizationId(`organization-${which % 4}`), except };
    case "project":
      return { scope: "project", except };
  }
}

function counts({ target, count }: RevocationCommand): boolean {
  return count && target.scope !== "session";
}

function sessionOf(population: Population, { target }: RevocationCommand) {
  const names = ({ token }: Population[number]) =>
    target.scope === "session" && "token" in target && token.hash.equals(target.token.hash);
  return population.find(names)?.session.id;
}
