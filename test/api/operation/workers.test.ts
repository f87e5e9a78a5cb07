import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { type Client, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Health } from "../../../gen/grpc/health/v1/health_pb.ts";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { reasonOf } from "../../support/fixtures/logins.ts";
import { patience } from "../../support/patience.ts";
import { basicAuthorization } from "../../support/fixtures/running-service.ts";
import {
  type ServeProcess,
  answeredBy,
  linesOf,
  logged,
  serveProcess,
} from "../../support/process/serve-process.ts";
import { withHeaders } from "../../support/fixtures/service-clients.ts";
import { databaseOfFile, emptyFolder, holdRevocations, secret, serveOn } from "./operating.ts";

const databaseUrl = await databaseOfFile();

const basic = basicAuthorization("workers", secret);

/** A service with two workers. */
function twoWorkers(environment: Readonly<Record<string, string>> = {}): ServeProcess {
  const bootstrap = { SESSIOND_BOOTSTRAP_PROJECT: `workers:${secret}` };
  return serveOn(databaseUrl, { ...bootstrap, SESSIOND_WORKERS: "2", ...environment });
}

/** Clients of one worker, on one connection. */
interface WorkerClient {
  readonly worker: number;
  readonly requestId: string;
  readonly sessions: Client<typeof SessionService>;
  readonly health: Client<typeof Health>;
}

/** Opens connections until each of two workers has answered one. */
async function connectToBoth(
  service: ServeProcess,
  authorization = basic,
): Promise<readonly [WorkerClient, WorkerClient]> {
  const baseUrl = `http://127.0.0.1:${await service.listening}`;
  const found = new Map<number, WorkerClient>();
  for (;;) {
    const requestId = randomUUID();
    const interceptors = [withHeaders({ authorization, "x-request-id": requestId })];
    const transport = createGrpcTransport({ baseUrl, interceptors });
    const sessions = createClient(SessionService, transport);
    await sessions.list({ memberId: "unknown" });
    const worker = await answeredBy(service, requestId);
    found.set(worker, { worker, requestId, sessions, health: createClient(Health, transport) });
    const [one, other] = found.values();
    if (one !== undefined && other !== undefined) return [one, other];
  }
}

function kill(worker: number): void {
  process.kill(worker, "SIGKILL");
}

test("a session revoked at one worker is rejected by the other at once, both ways", async () => {
  const service = twoWorkers();
  const [one, other] = await connectToBoth(service);
  expect(one.worker).not.toBe(other.worker);
  expect([one.worker, other.worker]).not.toContain(service.pid);
  for (let round = 0; round < 10; round++) {
    const [here, there] = round % 2 === 0 ? [one, other] : [other, one];
    const { session, token, jwt } = await here.sessions.create({ memberId: "m" });
    const ask = (credential: { case: "token" | "jwt"; value: string }) =>
      there.sessions.authenticate({ credential }).then(() => "active", reasonOf);
    expect(await ask({ case: "token", value: token })).toBe("active");
    expect(await ask({ case: "jwt", value: jwt })).toBe("active");
    await here.sessions.revoke({ target: { case: "id", value: session?.id ?? "" } });
    expect(await ask({ case: "token", value: token })).toBe("SESSION_REVOKED");
    expect(await ask({ case: "jwt", value: jwt })).toBe("SESSION_REVOKED");
  }
  for (const { requestId, worker } of [one, other]) {
    const pids = linesOf(service).filter((line) => line["request_id"] === requestId);
    expect(new Set(pids.map(({ pid }) => pid))).toEqual(new Set([worker]));
    expect(pids.length).toBeGreaterThan(10);
  }
});

test("the embedded PostgreSQL serves all workers; no argument and no log contains a secret", async () => {
  const folder = await emptyFolder();
  const service = serveProcess({ SESSIOND_WORKERS: "2" }, folder);
  await service.listening;
  const secrets = await secretsIn(join(folder, ".sessiond"));
  const development = secrets.get("development-secret") ?? "";
  expect(service.stdout().split(development)).toHaveLength(2);
  expect(service.stdout().split("sessiond listens")).toHaveLength(2);

  const [one, other] = await connectToBoth(service, basicAuthorization("development", development));
  for (const { sessions } of [one, other]) await sessions.create({ memberId: "m" });
  const seen = [service.stderr()];
  if (process.platform === "linux") {
    for (const pid of [service.pid, one.worker, other.worker]) {
      seen.push(await readFile(`/proc/${pid}/cmdline`, "utf8"));
    }
  }
  for (const secret of secrets.values()) expect(seen.join("\n")).not.toContain(secret);

  service.signal("SIGTERM");
  expect(await service.ended).toBe(0);
  expect(service.stderr()).toContain("database system is shut down");
});

/** The secrets of a data directory, by file. */
async function secretsIn(directory: string): Promise<ReadonlyMap<string, string>> {
  const names = ["master.key", "development-secret", "postgres.password"];
  const entries = names.map(async (name) => {
    const text = await readFile(join(directory, name), "utf8");
    return [name, text.trim()] as const;
  });
  return new Map(await Promise.all(entries));
}

describe("stopping", () => {
  /** A revocation that waits for the project's row lock, which the test holds until `release`. */
  async function heldRevocation({ sessions }: WorkerClient) {
    const { waited, release } = await holdRevocations(databaseUrl);
    // With a deadline, because Connect's client does not always notice that a server is gone after its GOAWAY.
    const answer = sessions.revokeAll({ scope: { case: "project", value: {} } }, { timeoutMs: 12_000 });
    answer.catch(() => undefined);
    await waited();
    return { answer, release };
  }

  /** Watches a worker's health; the first status has been read. */
  async function watchHealth({ health }: WorkerClient) {
    const statuses = health.watch({})[Symbol.asyncIterator]();
    await statuses.next();
    return statuses;
  }

  /** Has a call in flight and watches both workers. `finish` expects that watchers are notified and the call succeeds. */
  async function busyWorkers(service: ServeProcess) {
    const both = await connectToBoth(service);
    const watching = await Promise.all(both.map(watchHealth));
    const { answer, release } = await heldRevocation(both[0]);
    const finish = async () => {
      for (const statuses of watching) {
        expect(await statuses.next()).toMatchObject({ value: { status: 2 } });
        await expect(statuses.next()).rejects.toThrow(/\[unavailable\]/);
      }
      await release();
      expect((await answer).revision).toBeGreaterThan(0n);
    };
    return { both, finish };
  }

  test.each([
    ["SIGTERM to the primary", () => [], "SIGTERM"],
    ["SIGINT to all processes, as by Ctrl-C", ([one, other]) => [one.worker, other.worker], "SIGINT"],
  ] satisfies [string, (clients: readonly [WorkerClient, WorkerClient]) => number[], NodeJS.Signals][])(
    "%s: finishes calls in flight, notifies watchers of every worker, and exits with 0",
    async (_, signalled, signal) => {
      const service = twoWorkers();
      const { both, finish } = await busyWorkers(service);
      for (const pid of signalled(both)) process.kill(pid, signal);
      service.signal(signal);
      await finish();
      expect(await service.ended).toBe(0);
      const stopped = linesOf(service).filter((line) => line.msg === "worker stopped");
      expect(new Set(stopped.map(({ pid }) => pid))).toEqual(new Set(both.map(({ worker }) => worker)));
      expect(linesOf(service).at(-1)).toMatchObject({ pid: service.pid, msg: "stopped" });
    },
  );

  test("ends at once, with its workers, at a second signal", async () => {
    const service = twoWorkers({ SESSIOND_SHUTDOWN_GRACE_MS: "600000" });
    const [one] = await connectToBoth(service);
    const { answer } = await heldRevocation(one);
    service.signal("SIGTERM");
    await logged(service, "worker stopping", 2);
    service.signal("SIGTERM");
    // Resolves when no process has standard error open, so when the workers have ended.
    expect(await service.ended).toBe(1);
    await expect(answer).rejects.toBeInstanceOf(ConnectError);
    expect(linesOf(service).findLast(({ pid }) => pid === one.worker)?.msg).toBe("worker stopping");
  });

  test("kills a worker that does not stop in time", async () => {
    const service = twoWorkers({
      SESSIOND_SHUTDOWN_GRACE_MS: "0",
      SESSIOND_DATABASE_CONNECT_TIMEOUT_MS: "1000",
      SESSIOND_DATABASE_STATEMENT_TIMEOUT_MS: "1000",
    });
    const [one] = await connectToBoth(service);
    process.kill(one.worker, "SIGSTOP");
    service.signal("SIGTERM");
    expect(await service.ended).toBe(0);
    expect(service.stderr()).toContain(
      `"workers":[${one.worker}],"msg":"workers did not stop in time; killed"`,
    );
  });

  test("drains and ends the workers if the primary was killed", async () => {
    const service = twoWorkers();
    const { finish } = await busyWorkers(service);
    service.signal("SIGKILL");
    await finish();
    // Resolves when no process has standard error open.
    expect(await service.ended).toBe("SIGKILL");
    expect(linesOf(service).filter((line) => line.msg === "worker stopped")).toHaveLength(2);
  });
});

describe("a worker that ends", () => {
  test("is replaced after growing waits while the other serves, and its cause is logged", async () => {
    const service = twoWorkers();
    const [one, other] = await connectToBoth(service);
    let victim = one.worker;
    for (let listening = 3; listening <= 5; listening++) {
      kill(victim);
      for (let back = false; !back;) {
        await other.sessions.list({ memberId: "unknown" });
        back = linesOf(service).filter((line) => line.msg === "listening").length === listening;
      }
      victim = linesOf(service).findLast((line) => line.msg === "listening")?.pid ?? 0;
    }
    const ends = await logged(service, "a worker ended; another takes its place", 3);
    expect(ends[0]).toMatchObject({ pid: service.pid, worker: one.worker, cause: "it ended with SIGKILL" });
    for (const [i, boundMs] of [100, 200, 400].entries()) {
      expect(ends[i]?.["wait_ms"]).toBeLessThanOrEqual(boundMs);
      expect(ends[i]?.["wait_ms"]).toBeGreaterThanOrEqual(boundMs / 2);
    }
    expect(ends).toHaveLength(3);
    const again = await connectToBoth(service);
    expect(new Set(again.map(({ worker }) => worker))).toEqual(new Set([victim, other.worker]));
    service.signal("SIGTERM");
    expect(await service.ended).toBe(0);
  });

  test("logs its uncaught error, and is replaced", async () => {
    const flaw = "data:text/javascript,process.on('SIGUSR2', () => { throw new Error('a flaw') })";
    const service = twoWorkers({ NODE_OPTIONS: `--import "${flaw}"` });
    const [one] = await connectToBoth(service);
    process.kill(one.worker, "SIGUSR2");
    const [last] = await logged(service, "worker failed");
    expect(last).toMatchObject({ pid: one.worker, level: 60, fault: expect.stringContaining("a flaw") });
    const [end] = await logged(service, "a worker ended; another takes its place");
    expect(end).toMatchObject({ worker: one.worker, cause: "it ended with status 1" });
    await logged(service, "listening", 3);
  });

  test("together with all others is replaced at the same port, even if the system chose the port", async () => {
    const service = twoWorkers();
    const [one, other] = await connectToBoth(service);
    kill(one.worker);
    kill(other.worker);
    const port = await service.listening;
    const here = () => linesOf(service).filter((line) => line.msg === "listening" && line["port"] === port);
    await vi.waitUntil(() => here().length === 4, patience);
    const again = await connectToBoth(service);
    for (const { worker } of again) expect([one.worker, other.worker]).not.toContain(worker);
  });
});

test("a failure to start is reported once for all workers", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  onTestFinished(() => void taken.close());
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  const service = twoWorkers({ SESSIOND_LISTEN: `127.0.0.1:${port}` });
  expect(await service.ended).toBe(1);
  expect(service.stdout()).toBe("");
  expect(service.stderr().match(/cannot start/g)).toHaveLength(1);
  expect(service.stderr()).toContain(`sessiond cannot start: bind EADDRINUSE 127.0.0.1:${port}`);
});
