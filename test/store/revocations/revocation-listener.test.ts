import { expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../../../src/domain/clock.ts";
import type { ProjectId } from "../../../src/domain/ids.ts";
import { RevocationListener } from "../../../src/storage/revocations/listener.ts";
import { patience } from "../../support/patience.ts";
import { startRelay } from "../../support/postgres/relay.ts";
import { memberId, revokeTarget, storedProject } from "../../support/fixtures/stored.ts";
import { useStore } from "../../support/postgres/use-store.ts";

const opened = useStore();

function listening(url: string) {
  const changes: (ProjectId | undefined)[] = [];
  const troubles: unknown[] = [];
  const listener = new RevocationListener({
    url,
    connectTimeoutMs: 200,
    clock: systemClock,
    onChange: (projectId) => changes.push(projectId),
    onTrouble: (error) => troubles.push(error),
  });
  onTestFinished(() => listener.close());
  return { changes, troubles };
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

test("a committed revocation names its project; after a lost connection any project may have changed", async () => {
  const relay = await startRelay(opened.url);
  onTestFinished(() => relay.close());
  const project = await storedProject(opened.store);
  const { changes, troubles } = listening(relay.url);
  const revoke = () => revokeTarget(opened.store, project, { scope: "member", id: memberId("ada") });
  await vi.waitUntil(() => changes.length === 1, patience);
  await revoke();
  await vi.waitUntil(() => changes.length === 2, patience);
  relay.cut();
  await vi.waitUntil(() => troubles.length > 0, patience);
  await revoke();
  relay.mend();
  await vi.waitUntil(() => changes.length === 3, patience);
  await revoke();
  await vi.waitUntil(() => changes.length === 4, patience);
  expect(changes).toEqual([undefined, project.id, undefined, project.id]);
});
