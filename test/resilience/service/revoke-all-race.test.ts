import { expect, test, vi } from "vitest";
import { connectSessiond } from "../../../src/client/client.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { checkHistory } from "../chaos/checks/check-history.ts";
import { Load } from "../chaos/load.ts";

const first = await runningService();
const second = await runningService({ databaseUrl: first.databaseUrl });

test("concurrent calls on two replicas see each revocation of few members from its return on", async () => {
  const replicas = [first, second].map(({ url, projectId, secret }) => ({
    connect: () => connectSessiond({ baseUrl: url, credential: { projectId, secret } }).sessions,
  }));
  const load = new Load({ replicas, clients: 24, members: 4, organizations: 2 });
  const { history, failures } = load.recorder;
  await vi.waitUntil(() => history.length >= 1200, { timeout: 120_000 });
  await load.stop();
  expect(checkHistory(history)).toEqual([]);
  expect(failures).toEqual({});
  const cutoffs = history.filter((entry) => entry.kind === "revocation" && entry.scope !== "session");
  expect(cutoffs.length).toBeGreaterThan(20);
  const seen = history.flatMap((entry) => (entry.kind === "observation" ? [entry.saw] : []));
  expect(new Set(seen)).toEqual(new Set(["alive", "dead"]));
}, 130_000);
