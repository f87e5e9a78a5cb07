import { expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../../../src/domain/clock.ts";
import type { ProjectId } from "../../../src/domain/ids.ts";
import { RevocationListener } from "../../../src/storage/revocations/listener.ts";
import { RevocationNotifier } from "../../../src/storage/revocations/notifier.ts";
import { patience } from "../../support/patience.ts";
import { startRelay } from "../../support/postgres/relay.ts";
import { projectId } from "../../support/fixtures/stored.ts";
import { useStore } from "../../support/postgres/use-store.ts";

const opened = useStore();
const project = projectId("acme");

function listening(url: string, sender = "this process") {
  const changes: (ProjectId | undefined)[] = [];
  const troubles: unknown[] = [];
  const listener = new RevocationListener({
    url,
    sender,
    connectTimeoutMs: 200,
    clock: systemClock,
    onChange: (projectId) => changes.push(projectId),
    onTrouble: (error) => troubles.push(error),
  });
  onTestFinished(() => listener.close());
  return { changes, troubles };
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
  const { changes } = listening(opened.url);
  await vi.waitUntil(() => changes.length === 1, patience);
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
