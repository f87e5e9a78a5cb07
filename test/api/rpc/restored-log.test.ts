import { Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { describe, expect, test, vi } from "vitest";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { connectSessiond } from "../../../src/client/client.ts";
import { errorInfoOf } from "../../../src/client/error-info.ts";
import { watchRevocations } from "../../../src/client/watch-revocations.ts";
import { positionAt } from "../../support/fixtures/positions.ts";
import { recoverAt } from "../../support/fixtures/recovering.ts";
import { type RunningService, runningService } from "../../support/fixtures/running-service.ts";
import { patience } from "../../support/patience.ts";
import { backUp, restore } from "../../support/postgres/test-database.ts";

const restored = await runningService();
const overtaken = await runningService();
const overtaker = await runningService({ databaseUrl: overtaken.databaseUrl });
const recovered = await runningService();

const credentialOf = ({ projectId, secret }: RunningService) => ({ projectId, secret });
const sessionsOf = (service: RunningService) =>
  connectSessiond({ baseUrl: service.url, credential: credentialOf(service), defaultTimeoutMs: 20_000 })
    .sessions;

/** Revokes members until the log's head is `revision`. A call that finds the database away is repeated. */
async function revokeUpTo(service: RunningService, revision: bigint): Promise<void> {
  for (let i = 0; ; i++) {
    const target = { case: "memberId", value: `m${i}` } as const;
    const head = await sessionsOf(service)
      .revoke({ target })
      .catch((error: unknown) => {
        if (ConnectError.from(error).code !== Code.Unavailable) throw error;
        return { revision: 0n };
      });
    if (head.revision >= revision) return;
  }
}

/** Watches as a client does that follows the log. Resolves with the error that ends the watch. */
function following(service: RunningService) {
  const end = new AbortController();
  const messages = watchRevocations({
    baseUrl: service.url,
    credential: credentialOf(service),
    start: { case: undefined },
    signal: end.signal,
  });
  const revisions: bigint[] = [];
  const started = messages.next();
  const ended = (async () => {
    await started;
    for await (const { revision } of messages) revisions.push(revision);
  })().catch((error: unknown) => error);
  return { started, ended, revisions };
}

async function metricOf({ metricsUrl }: RunningService, difference: string): Promise<number> {
  const text = await (await fetch(metricsUrl)).text();
  const value = new RegExp(
    `^sessiond_history_changes_total\\{difference="${difference}"\\} (\\d+)$`,
    "m",
  ).exec(text);
  return Number(value?.[1]);
}

const alarmsOf = ({ log }: RunningService) =>
  log.filter(({ level, msg }) => level === 50 && String(msg).includes("log of revocations"));

/** The error info of a watch after `position`, in every protocol. */
async function answersTo(service: RunningService, position: string) {
  const options = { baseUrl: service.url, httpVersion: "2" } as const;
  const transports = [
    createGrpcTransport(options),
    createGrpcWebTransport(options),
    createConnectTransport(options),
  ];
  const answers: unknown[] = [];
  for (const transport of transports) {
    const client = createClient(SessionService, transport);
    const stream = client.watchRevocations(
      { start: { case: "after", value: position } },
      { headers: { authorization: service.basic } },
    );
    const error = await stream[Symbol.asyncIterator]()
      .next()
      .catch((failure: unknown) => failure);
    answers.push({ code: ConnectError.from(error).code, ...errorInfoOf(error) });
  }
  for (const [query, headers] of [
    [`?after=${position}`, {}],
    ["", { accept: "text/event-stream", "last-event-id": position }],
  ] as const) {
    const response = await fetch(`${service.url}/session/v1/revocations:watch${query}`, {
      headers: { authorization: service.basic, ...headers },
    });
    expect(response.status).toBe(400);
    const { code, details } = (await response.json()) as { code: number; details: unknown[] };
    answers.push({ code, ...Object(details[0]) });
  }
  return answers;
}

describe("a database that was restored to an earlier state under a running service", () => {
  test("ends every watch with HISTORY_CHANGED, whatever the protocol, and raises one alarm", async () => {
    await revokeUpTo(restored, 6n);
    await backUp(restored.databaseUrl);
    const watch = following(restored);
    await watch.started;
    await revokeUpTo(restored, 16n);
    await vi.waitUntil(() => watch.revisions.at(-1) === 16n, patience);
    const lost = await positionAt(restored, 16);
    const kept = await positionAt(restored, 6);
    await restore(restored.databaseUrl);
    const ended = await watch.ended;
    expect(errorInfoOf(ended)).toMatchObject({ reason: "HISTORY_CHANGED", metadata: { revision: "6" } });
    expect(watch.revisions.at(-1)).toBe(16n);
    expect(alarmsOf(restored)).toMatchObject([{ project: restored.projectId, known: lost, head: kept }]);
    expect(await metricOf(restored, "lower")).toBe(1);

    const metadata = { oldest_revision: "0", oldest_position: await positionAt(restored, 0), revision: "6" };
    const answer = { code: Code.OutOfRange, reason: "HISTORY_CHANGED", metadata };
    expect(await answersTo(restored, lost)).toMatchObject(Array.from({ length: 5 }, () => answer));
    // A position that both histories have goes on.
    await revokeUpTo(restored, 7n);
    const stream = sessionsOf(restored).watchRevocations({ start: { case: "after", value: kept } });
    expect((await stream[Symbol.asyncIterator]().next()).value).toMatchObject({ revision: 7n });
    expect(alarmsOf(restored)).toHaveLength(1);
    expect(await metricOf(restored, "replaced")).toBe(0);
  });

  test("is noticed after another replica has overtaken it, by watchers that were away meanwhile", async () => {
    await revokeUpTo(overtaken, 6n);
    await backUp(overtaken.databaseUrl);
    await revokeUpTo(overtaken, 10n);
    const lost = await positionAt(overtaken, 10);
    await restore(overtaken.databaseUrl);
    await revokeUpTo(overtaker, 12n);
    const answer = { code: Code.OutOfRange, reason: "HISTORY_CHANGED", metadata: { revision: "12" } };
    for (const service of [overtaken, overtaker]) {
      expect(await answersTo(service, lost)).toMatchObject(Array.from({ length: 5 }, () => answer));
    }
    // The one that had written the lost revocations knows that they are. The other one was only asked.
    expect(alarmsOf(overtaken)).toMatchObject([{ known: lost, head: await positionAt(overtaken, 12) }]);
    expect(alarmsOf(overtaker)).toEqual([]);
    expect(await metricOf(overtaken, "replaced")).toBe(1);
  });
});

test("a recovery ends every watch, and no stream starts before it", async () => {
  await revokeUpTo(recovered, 3n);
  const old = await positionAt(recovered, 3);
  const watch = following(recovered);
  await watch.started;
  await recoverAt(recovered.databaseUrl, { force: true });
  expect(errorInfoOf(await watch.ended)).toMatchObject({ reason: "HISTORY_CHANGED" });
  expect(await metricOf(recovered, "recovered")).toBe(1);
  const sessions = sessionsOf(recovered);
  for (const start of ["oldest", "snapshot"] as const) {
    const stream = sessions.watchRevocations({ start: { case: start, value: {} } });
    const { value } = await stream[Symbol.asyncIterator]().next();
    expect(value?.recoveryIds).toEqual([expect.stringMatching(/^[\da-f-]{36}$/)]);
    expect(value?.revocations[0]?.revision).toBe(2n ** 40n + 4n);
  }
  expect(await answersTo(recovered, old)).toMatchObject(
    Array.from({ length: 5 }, () => ({ reason: "HISTORY_CHANGED" })),
  );
  const { revocations } = await sessions.listRevocations({});
  expect(revocations.map(({ revision }) => revision).slice(-3)).toEqual([3n, 2n, 1n]);
});
