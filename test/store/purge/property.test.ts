import fc from "fast-check";
import { sql } from "kysely";
import { expect, test } from "vitest";
import type { ProjectId } from "../../../src/domain/ids.ts";
import type { LoggedRevocation } from "../../../src/domain/revocations/revocation-log.ts";
import type { WatchStart } from "../../../src/domain/revocations/revocation-feeds.ts";
import type { RevocationCommand } from "../../../src/domain/revocation.ts";
import { type Session, idleExpireTimeOf } from "../../../src/domain/sessions/session.ts";
import { day, purgeAt, retention, watchOnce } from "../../support/fixtures/purging.ts";
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

const which = fc.nat(3);
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant("login"), who: which, days: fc.nat(40), idle: fc.nat(4) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("revoke"), nth: fc.nat(50) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("cut"),
      scope: fc.constantFrom("member", "organization", "project"),
      who: which,
      spare: fc.option(fc.nat(50), { nil: undefined }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("extend"), nth: fc.nat(50), days: fc.nat(40) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("wait"), hours: fc.nat(6 * 24) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("purge"), batchSize: fc.integer({ min: 1, max: 5 }) }),
  },
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
    const { store } = opened;
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
        await store.sessions.extendSession(
          this.#project.id,
          this.#nth(step.nth),
          at(this.#time + (step.days + 1) * day),
          at(this.#time),
        );
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

  #cutoff({ scope, who, spare }: Extract<Step, { do: "cut" }>): RevocationCommand["target"] {
    const except = spare === undefined ? {} : { except: this.#nth(spare) };
    if (scope === "project") return { scope, ...except };
    return scope === "member"
      ? { scope, id: memberId(`m${who}`), ...except }
      : { scope: "organization", id: organizationId("acme"), ...except };
  }

  async #revoke(target: RevocationCommand["target"]): Promise<void> {
    await revokeTarget(opened.store, this.#project, target, { time: at(this.#time) });
    const { revocations } = await opened.store.revocations.readRevocations(
      this.#id,
      this.#log.at(-1)?.revision ?? 0,
      10,
    );
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
      this.#see(
        after[i],
        isDue === "certainly" || (isDue === "perhaps" && after[i] === undefined) ? undefined : session,
      );
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

  /** From any revision a watcher gets exactly the later revocations, or REVISION_OUT_OF_RANGE. */
  async #checkLog(): Promise<void> {
    const head = this.#log.length;
    const oldest = await opened.store.revocations.oldestResumable(this.#id);
    for (let after = 0; after <= head; after++) {
      this.#see(
        await this.#watch({ after }),
        after < oldest ? "REVISION_OUT_OF_RANGE" : this.#log.slice(after),
      );
    }
    this.#see(await this.#watch("oldest"), this.#log.slice(oldest));
    const now = at(this.#time);
    const mattering = this.#log.findIndex(({ relevantUntil }) => relevantUntil > now);
    this.#see(await this.#watch("snapshot"), mattering < 0 ? [] : this.#log.slice(mattering));
    this.#see(
      this.#log.slice(0, oldest).filter(({ time }) => this.#isDue(time) === "no"),
      [],
    );
    this.#see(
      this.#log.slice(oldest).filter(({ time }) => this.#isDue(time) === "certainly"),
      [],
    );
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
      await sql`truncate projects, sessions, session_tokens, cutoffs, revocations cascade`.execute(opened.db);
      const history = new History(await storedProject(opened.store));
      for (const step of steps) await history.take(step);
      await history.take({ do: "wait", hours: 24 });
      await history.take({ do: "purge", batchSize: 3 });
      expect(history.seen).toEqual(history.right);
    }),
    { numRuns: 40 },
  );
}, 120_000);
