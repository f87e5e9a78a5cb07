import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../../../src/domain/clock.ts";
import type { ProjectId } from "../../../src/domain/ids.ts";
import { RevocationListener } from "../../../src/storage/revocations/listener.ts";
import { openStore } from "../../support/postgres/open-store.ts";
import { patience } from "../../support/patience.ts";
import { startRelay } from "../../support/postgres/relay.ts";
import { memberId, revokeTarget, storedProject } from "../../support/fixtures/stored.ts";
import { type TestDatabase, createTestDatabase } from "../../support/postgres/test-database.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.drop());

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

test("a host that takes connections and is silent is given up, and listening begins once it answers", async () => {
  const relay = await startRelay(database.url);
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

test("a committed revocation names its project; after a cut connection anything may have happened", async () => {
  const relay = await startRelay(database.url);
  onTestFinished(() => relay.close());
  const opened = openStore(database.url);
  onTestFinished(() => opened.close());
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
