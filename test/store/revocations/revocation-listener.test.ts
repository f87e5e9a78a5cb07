import { expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../../../src/domain/clock.ts";
import type { ProjectId } from "../../../src/domain/ids.ts";
import {
  RevocationListener,
  type RevocationListenerOptions,
} from "../../../src/storage/revocations/listener.ts";
import { RevocationNotifier } from "../../../src/storage/revocations/notifier.ts";
import { patience } from "../../support/patience.ts";
import { startRelay } from "../../support/postgres/relay.ts";
import { projectId } from "../../support/fixtures/stored.ts";
import { runSql } from "../../support/postgres/sql.ts";
import { databaseOfTest } from "../../support/postgres/test-database.ts";
import { manualClock } from "../../unit/rpc/manual-clock.ts";
import { useStore } from "../../support/postgres/use-store.ts";

const opened = useStore();
const project = projectId("acme");

function listening(url: string, options: Partial<RevocationListenerOptions> = {}) {
  const { sender = "this process" } = options;
  const changes: (ProjectId | undefined)[] = [];
  const hearing: boolean[] = [];
  const troubles: unknown[] = [];
  const listener = new RevocationListener({
    url,
    sender,
    connectTimeoutMs: 200,
    clock: systemClock,
    sendTest: (nonce) => notifying(sender).notifier.sendTest(nonce),
    onChange: (projectId) => changes.push(projectId),
    onHearing: (hears) => hearing.push(hears),
    onTrouble: (error) => troubles.push(error),
    ...options,
  });
  onTestFinished(() => listener.close());
  return { listener, changes, hearing, troubles };
}

function notifying(sender = "another process") {
  const failures: unknown[] = [];
  const onFailure = (error: unknown) => failures.push(error);
  return { notifier: new RevocationNotifier({ db: opened.db, sender, onFailure }), failures };
}

test("gives up a host that accepts connections and is silent, and listens once it answers", async () => {
  const relay = await startRelay(opened.url);
  onTestFinished(() => relay.close());
  relay.fallSilent();
  const { changes, troubles } = listening(relay.url);
  await vi.waitUntil(() => troubles.length > 0, patience);
  expect(changes).toEqual([]);
  relay.mend();
  await vi.waitUntil(() => changes.length > 0, patience);
  // First reports that any project may have changed.
  expect(changes).toEqual([undefined]);
});

test("a notification names its project; after a lost connection any project may have changed", async () => {
  const relay = await startRelay(opened.url);
  onTestFinished(() => relay.close());
  const { notifier } = notifying();
  const { changes, troubles } = listening(relay.url);
  const notify = async () => {
    notifier.notify(project);
    await notifier.drain();
  };
  await vi.waitUntil(() => changes.length === 1, patience);
  await notify();
  await vi.waitUntil(() => changes.length === 2, patience);
  relay.cut();
  await vi.waitUntil(() => troubles.length > 0, patience);
  await notify();
  relay.mend();
  await vi.waitUntil(() => changes.length === 3, patience);
  await notify();
  await vi.waitUntil(() => changes.length === 4, patience);
  expect(changes).toEqual([undefined, project, undefined, project]);
});

test("all projects of a turn share a statement, and the sender ignores its own", async () => {
  const [own, others] = [notifying("this process"), notifying()];
  const { changes, hearing } = listening(opened.url);
  await vi.waitUntil(() => hearing.length === 1, patience);
  const projects = Array.from({ length: 50 }, (_, i) => projectId(`p${i}`));
  const statements = await opened.statementsOf(async () => {
    for (const { notifier } of [own, others]) {
      for (const id of projects) notifier.notify(id);
      await notifier.drain();
    }
  });
  expect(statements).toHaveLength(2);
  await vi.waitUntil(() => changes.length > projects.length, patience);
  expect(changes).toEqual([undefined, ...projects]);
});

test("a notification that fails is reported, and the next ones are sent", async () => {
  const { notifier, failures } = notifying();
  const { changes } = listening(opened.url);
  await vi.waitUntil(() => changes.length === 1, patience);
  notifier.notify(`p${"x".repeat(8000)}` as ProjectId); // longer than a payload may be
  await notifier.drain();
  expect(failures).toHaveLength(1);
  notifier.notify(project);
  await notifier.drain();
  await vi.waitUntil(() => changes.length === 2, patience);
});

test("a process hears its own test, and others take no notice of it", async () => {
  const { listener, hearing } = listening(opened.url);
  const other = listening(opened.url, { sender: "other" });
  await vi.waitUntil(() => hearing.length + other.hearing.length === 2, patience);
  expect([hearing, other.hearing, listener.hears]).toEqual([[true], [true], true]);
  await notifying().notifier.sendTest("another's");
  notifying().notifier.notify(project);
  await vi.waitUntil(() => other.changes.length === 2, patience);
  expect(other.changes).toEqual([undefined, project]);
});

test("a process is deaf if its test does not arrive within 2 s, and hears again after the next test", async () => {
  const clock = manualClock();
  const elsewhere = await databaseOfTest();
  const sent: string[] = [];
  const { listener, hearing, troubles } = listening(elsewhere, {
    clock,
    async sendTest(nonce) {
      // The first goes to another database, as through a proxy that leads to two servers.
      const url = sent.push(nonce) === 1 ? opened.url : elsewhere;
      await runSql(url, `notify sessiond_revocations, 'test:${nonce} this process'`);
    },
  });
  // The times of the test: the next one, and the end of patience.
  await vi.waitUntil(() => clock.pending === 2, patience);
  clock.advance(1_999);
  expect(hearing).toEqual([]);
  clock.advance(1);
  expect(hearing).toEqual([false]);
  clock.advance(28_000);
  await vi.waitUntil(() => hearing.length === 2, patience);
  expect([hearing, listener.hears, troubles]).toEqual([[false, true], true, []]);
  expect(new Set(sent).size).toBe(2);
});

test("a test that cannot be sent shows nothing, and is repeated after 2 s", async () => {
  const clock = manualClock();
  let tests = 0;
  const { hearing } = listening(opened.url, {
    clock,
    async sendTest() {
      tests++;
      throw new Error("the database does not answer");
    },
  });
  await vi.waitUntil(() => tests === 1 && clock.pending === 1, patience);
  clock.advance(1_999);
  expect(tests).toBe(1);
  clock.advance(1);
  await vi.waitUntil(() => tests === 2, patience);
  expect(hearing).toEqual([]);
});

test("settings of the role do not end the connection", async () => {
  const url = new URL(opened.url);
  url.searchParams.set("options", "-c idle_session_timeout=500ms -c default_transaction_read_only=on");
  const { hearing, troubles } = listening(url.href, { clock: manualClock() });
  await vi.waitUntil(() => hearing.length === 1, patience);
  const idle = `select from pg_stat_activity where application_name = 'sessiond listener'
    and datname = current_database() and state_change < clock_timestamp() - interval '600 ms'`;
  await vi.waitUntil(
    async () => (await runSql(opened.url, idle)).length > 0 || troubles.length > 0,
    patience,
  );
  expect(troubles).toEqual([]);
});
