import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { ProjectId, RevocationId } from "../../../src/domain/ids.ts";
import type { LoggedRevocation } from "../../../src/domain/revocations/revocation-log.ts";
import type { WatchStart } from "../../../src/domain/revocations/revocation-feeds.ts";
import type { RevocationCommand } from "../../../src/domain/revocation.ts";
import { type Session, idleExpireTimeOf } from "../../../src/domain/sessions/session.ts";
import { day, emptyTables, purgeAt, retention, watchOnce } from "../../support/fixtures/purging.ts";
import {
  at,
  hour,
  memberId,
  organizationId,
  revokeTarget,
  storedProject,
  storedSession,
} from "../../support/fixtures/stored.ts";
import { useStore } from "../../support/postgres/use-store.ts";

const opened = useStore();

/** Longest time that a revocation is kept beyond the retention, for JWTs and clock skew. */
const slack = 3 * hour;

const [which, nth, days, sizes] = [fc.nat(3), fc.nat(50), fc.nat(40), fc.integer({ min: 1, max: 5 })];
const cut = fc.record({
  do: fc.constant("cut"),
  scope: fc.constantFrom("member", "organization", "project"),
  who: which,
  spare: fc.option(nth, { nil: undefined }),
});
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant("login"), who: which, days, idle: fc.nat(4) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("revoke"), nth }) },
  { weight: 2, arbitrary: cut },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("extend"), nth, days }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("wait"), hours: fc.nat(6 * 24) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("purge"), batchSize: sizes }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A project that is used, purged, and compared with its state before. */
class History {
  /** Observations, each with its expected value at the same place. */
  readonly seen: unknown[] = [];
  readonly right: unknown[] = [];
  readonly #project;
  readonly #sessions: Session[] = [];
  readonly #log: LoggedRevocation[] = [];
  #time = 0;

  constructor(project: Awaited<ReturnType<typeof storedProject>>) {
    this.#project = project;
  }

  async take(step: Step): Promise<void> {
    switch (step.do) {
      case "login":
        this.#sessions.push(await this.#login(step));
        break;
      case "revoke":
        await this.#revoke({ scope: "session", id: this.#nth(step.nth) });
        break;
      case "cut":
        await this.#revoke(this.#cutoff(step));
        break;
      case "extend":
        await this.#extend(step);
        break;
      case "wait":
        this.#time += step.hours * hour;
        break;
      case "purge":
        await this.#purge(step.batchSize);
    }
  }

  get #id(): ProjectId {
    return this.#project.id;
  }

  #nth(nth: number) {
    const session = this.#sessions[nth % Math.max(1, this.#sessions.length)];
    return session?.id ?? ("00000000-0000-4000-8000-000000000000" as Session["id"]);
  }

  async #login({ who, days, idle }: Extract<Step, { do: "login" }>): Promise<Session> {
    const now = at(this.#time);
    const { session } = await storedSession(opened.store, this.#project, {
      memberId: memberId(`m${who}`),
      organizationId: who % 2 === 0 ? organizationId("acme") : undefined,
      createTime: now,
      lastAccessTime: now,
      expireTime: at(this.#time + days * day + 1),
      idleTimeout: idle === 0 ? undefined : idle * 3 * day,
    });
    return session;
  }

  async #extend({ nth, days }: Extract<Step, { do: "extend" }>): Promise<void> {
    const [now, end] = [at(this.#time), at(this.#time + (days + 1) * day)];
    await opened.store.sessions.extendSession(this.#id, this.#nth(nth), end, now);
  }

  #cutoff({ scope, who, spare }: Extract<Step, { do: "cut" }>): RevocationCommand["target"] {
    const except = spare === undefined ? {} : { except: this.#nth(spare) };
    if (scope === "project") return { scope, ...except };
    return scope === "member"
      ? { scope, id: memberId(`m${who}`), ...except }
      : { scope: "organization", id: organizationId("acme"), ...except };
  }

  async #revoke(target: RevocationCommand["target"]): Promise<void> {
    await revokeTarget(opened.store, this.#project, target, { time: at(this.#time) });
    const known = this.#log.at(-1)?.revision ?? 0;
    const { revocations } = await opened.store.revocations.readRevocations(this.#id, known, 10);
    this.#log.push(...revocations);
  }

  #see(seen: unknown, right: unknown): void {
    this.seen.push(seen);
    this.right.push(right);
  }

  /** Retained rows are unchanged, and exactly the due rows are purged. */
  async #purge(batchSize: number): Promise<void> {
    const before = await this.#all();
    const { outcome } = await purgeAt(opened.db, at(this.#time), { batchSize });
    this.#see(outcome, "finished");
    const after = await this.#all();
    for (const [i, session] of before.entries()) {
      if (session === undefined) continue;
      const isDue = this.#isDue(endOf(session));
      const mayBeGone = isDue === "certainly" || (isDue === "perhaps" && after[i] === undefined);
      this.#see(after[i], mayBeGone ? undefined : session);
    }
    await this.#checkLog();
  }

  /** Whether rows that ended at a time must be purged by now. */
  #isDue(end: Date): "no" | "perhaps" | "certainly" {
    const since = at(this.#time).getTime() - end.getTime();
    if (since < retention) return "no";
    return since < retention + slack ? "perhaps" : "certainly";
  }

  #all(): Promise<readonly (Session | undefined)[]> {
    return Promise.all(this.#sessions.map(({ id }) => opened.store.sessions.findSession(this.#id, id)));
  }

  /**
   * From any position a watcher gets exactly the later revocations, or REVISION_OUT_OF_RANGE. From a retained revision with
   * another id it gets HISTORY_CHANGED.
   */
  async #checkLog(): Promise<void> {
    const { start } = await opened.store.revocations.readHead(this.#id, 0);
    const { revision: oldest } = await opened.store.revocations.oldestResumable(this.#id);
    for (const after of [start, ...this.#log]) {
      const { revision } = after;
      const other = { revision, id: randomUUID() as RevocationId };
      const gone = revision < oldest ? "REVISION_OUT_OF_RANGE" : undefined;
      this.#see(await this.#watch({ after }), gone ?? this.#log.slice(revision));
      if (revision !== oldest && after !== this.#log.at(-1)) continue;
      this.#see(await this.#watch({ after: other }), "HISTORY_CHANGED");
    }
    this.#see(await this.#watch("oldest"), this.#log.slice(oldest));
    const now = at(this.#time);
    const mattering = this.#log.findIndex(({ relevantUntil }) => relevantUntil > now);
    this.#see(await this.#watch("snapshot"), mattering < 0 ? [] : this.#log.slice(mattering));
    const dueIn = (part: LoggedRevocation[]) => part.map(({ time }) => this.#isDue(time));
    this.#see(dueIn(this.#log.slice(0, oldest)).includes("no"), false);
    // The oldest retained one may be due: it is kept as a position.
    this.#see(dueIn(this.#log.slice(Math.max(oldest, 1))).includes("certainly"), false);
  }

  #watch(start: WatchStart) {
    return watchOnce(opened.store, this.#id, start, at(this.#time));
  }
}

/** When a session ended, by its own fields. */
function endOf(session: Session): Date {
  if (session.revocation !== undefined) return session.revocation.time;
  const idle = idleExpireTimeOf(session);
  return idle !== undefined && idle < session.expireTime ? idle : session.expireTime;
}

test("after a purge at any time, retained rows read as before, and watchers resume exactly or get REVISION_OUT_OF_RANGE", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 80, size: "max" }), async (steps) => {
      await emptyTables(opened.db);
      const history = new History(await storedProject(opened.store));
      for (const step of steps) await history.take(step);
      await history.take({ do: "wait", hours: 24 });
      await history.take({ do: "purge", batchSize: 3 });
      expect(history.seen).toEqual(history.right);
    }),
    { numRuns: 40 },
  );
}, 120_000);
