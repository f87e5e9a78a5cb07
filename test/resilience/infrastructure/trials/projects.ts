import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startChild } from "../../../support/process/child.ts";
import { type Quantiles, quantiles } from "../../chaos/checks/quantiles.ts";
import { Distance } from "../systems/distance.ts";
import { PostgresServer, postgresPackage } from "../systems/postgres-server.ts";
import type { InfrastructureTrial, Stage } from "../trial.ts";

const projectCount = 50;
const callersPerProject = 2;
const rounds = 5;
const roundMs = 2000;
const propagationsPerRound = 50;
/** Between the standby and the primary, in each direction: one machine, and two zones of a region. */
const distancesMs = [0, 1];

/** The trees use their public API only, over Connect JSON: their protos may differ. */
interface Tree {
  readonly name: string;
  call(project: string, method: string, request: object): Promise<string>;
  /** Calls `onLine` for each line of the stream of revocations. */
  watch(project: string, onLine: (line: string) => void): AbortController;
}

/** Revocations of many projects share the round trips to a synchronous standby. */
export const projects: InfrastructureTrial = {
  name: "projects",
  shows:
    "50 projects that revoke at once with one synchronous standby; with --against, beside another checkout",
  packages: [postgresPackage],
  minutes: 6,
  async run(stage) {
    const server = await PostgresServer.start(stage.place, "primary", stage.started);
    const distance = await Distance.to(server.port, stage.started);
    await server.standby("standby", stage.started, distance.port);
    await server.sql("alter system set synchronous_standby_names = 'standby'");
    await server.sql("select pg_reload_conf()");
    const own = new URL("../../../..", import.meta.url).pathname;
    const directories = [own, ...(stage.against === undefined ? [] : [resolve(stage.against)])];
    const trees: Tree[] = [];
    for (const directory of directories) trees.push(await startTree(directory, server, stage));
    for (const oneWayMs of distancesMs) {
      distance.oneWayMs = oneWayMs;
      await measure(trees, `standby ${oneWayMs} ms away`, stage);
    }
  },
};

/** Measures the trees in turns, so that the machine is the same for both. */
async function measure(trees: readonly Tree[], where: string, stage: Stage): Promise<void> {
  const throughputs = trees.map((): number[] => []);
  const propagations = trees.map((): Quantiles[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, tree] of trees.entries()) {
      throughputs[i]?.push(await revokeForAWhile(tree));
      propagations[i]?.push(await measurePropagation(tree));
    }
  }
  for (const [i, { name }] of trees.entries()) {
    const seen = { "revocations per second": throughputs[i], "propagation (ms)": propagations[i] };
    stage.report(`${where}: ${name}`, seen, []);
  }
  if (trees.length < 2) return;
  const [mine = [], others = []] = throughputs;
  const ratios = mine.map((count, round) => count / (others[round] ?? NaN)).toSorted((a, b) => a - b);
  stage.report(
    `${where}: this / other`,
    { "ratios of rounds, sorted": ratios, median: ratios[rounds >> 1] },
    [],
  );
}

async function startTree(directory: string, server: PostgresServer, { started, say }: Stage): Promise<Tree> {
  const commit = execFileSync("git", ["-C", directory, "rev-parse", "--short", "HEAD"], { encoding: "utf8" });
  const database = `tree_${commit.trim()}`;
  await server.sql(`create database ${database}`);
  const secret = randomBytes(16).toString("hex");
  const child = startChild(await entryPointOf(directory), ["serve"], {
    DATABASE_URL: server.urlOf(database),
    SESSIOND_MASTER_KEY: randomBytes(32).toString("base64"),
    SESSIOND_LISTEN: "127.0.0.1:0",
    SESSIOND_BOOTSTRAP_PROJECT: `bootstrap:${secret}`,
    SESSIOND_LOG_LEVEL: "warn",
  });
  started.defer(() => child.kill());
  const [, url = ""] = await child.printed(/listens on (http:\/\/127\.0\.0\.1:\d+)/);
  const headersOf = (project: string) => ({
    authorization: `Basic ${Buffer.from(`${project}:${secret}`).toString("base64")}`,
    "content-type": "application/json",
  });
  const tree: Tree = {
    name: `${directory} at ${commit.trim()}`,
    async call(project, method, request) {
      const headers = headersOf(project);
      const body = JSON.stringify(request);
      const response = await fetch(`${url}/session.v1.${method}`, {
        method: "POST",
        headers,
        body,
        signal: AbortSignal.timeout(30_000),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`${method} of ${directory}: ${text}`);
      return text;
    },
    watch(project, onLine) {
      const stopping = new AbortController();
      const { signal } = stopping;
      const request = fetch(`${url}/session/v1/revocations:watch`, {
        headers: headersOf(project),
        signal,
      });
      void request.then((response) => readLines(response, onLine)).catch(() => undefined);
      return stopping;
    },
  };
  for (let i = 0; i < projectCount; i++) {
    const request = { id: projectOf(i), displayName: "trial", environment: "ENVIRONMENT_TEST" };
    await tree.call("bootstrap", "ProjectService/CreateProject", request);
    await copyCredential(server, database, projectOf(i));
  }
  say(`${projectCount} projects in ${tree.name}`);
  return tree;
}

function projectOf(i: number): string {
  return `trial-${i}`;
}

/** Path of the source of the command. */
async function entryPointOf(directory: string): Promise<string> {
  const { bin }: { bin: { sessiond: string } } = JSON.parse(
    await readFile(join(directory, "package.json"), "utf8"),
  );
  return join(directory, bin.sessiond.replace(/^dist\//, "").replace(/\.js$/, ".ts"));
}

/** Gives a project the bootstrap credential, whatever columns the table has. */
async function copyCredential(server: PostgresServer, database: string, projectId: string): Promise<void> {
  await server.sqlIn(database)(
    `insert into service_credentials
     select (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid(), 'project_id', $1::text))).*
     from service_credentials c where project_id = 'bootstrap'`,
    projectId,
  );
}

async function readLines(response: Response, onLine: (line: string) => void): Promise<void> {
  if (response.body === null) return;
  let rest = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  }
}

/** Revokes in all projects at once. Returns revocations per second. */
async function revokeForAWhile(tree: Tree): Promise<number> {
  const began = performance.now();
  let count = 0;
  const revoke = async (project: string) => {
    while (performance.now() - began < roundMs) {
      await tree.call(project, "SessionService/RevokeAll", { memberId: `member-${count % 1000}` });
      count++;
    }
  };
  await Promise.all(
    Array.from({ length: projectCount * callersPerProject }, (_, i) => revoke(projectOf(i % projectCount))),
  );
  return Math.round((count / (performance.now() - began)) * 1000);
}

/** Milliseconds from the return of a revocation to its arrival at one watcher. 0 if it arrived before. */
async function measurePropagation(tree: Tree): Promise<Quantiles> {
  const project = projectOf(0);
  const receivedAt = new Map<string, number>();
  const { promise: watching, resolve: begin } = Promise.withResolvers<void>();
  const stopping = tree.watch(project, (line) => {
    const now = performance.now();
    begin();
    for (const [, member = ""] of line.matchAll(/"targetId":"([^"]*)"/g)) receivedAt.set(member, now);
  });
  // The first message says where the stream begins.
  await watching;
  const times: number[] = [];
  for (let i = 0; i < propagationsPerRound; i++) {
    const memberId = `propagation-${i}`;
    await tree.call(project, "SessionService/RevokeAll", { memberId });
    const returned = performance.now();
    for (let waited = 0; !receivedAt.has(memberId) && waited < 5000; waited++) await delay(1);
    if (!receivedAt.has(memberId)) throw new Error("the watcher does not receive revocations");
    times.push(Math.max(0, (receivedAt.get(memberId) ?? Infinity) - returned));
    await delay(5);
  }
  stopping.abort();
  return quantiles(times);
}
