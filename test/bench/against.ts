import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { SessionService } from "../../gen/session/v1/session_service_pb.ts";
import { type DescMethodUnary, type MessageInitShape, create, toBinary } from "@bufbuild/protobuf";
import type { Bench } from "./bench.ts";
import { type Figure, type Result, type Subject, compare, measure } from "./figures.ts";
import { writeCalls } from "./load/calls.ts";
import type { Job, Line } from "./load/job.ts";
import { Jobs } from "./load/jobs.ts";
import { loadSubject } from "./load/load.ts";
import type { BenchServer } from "./processes.ts";
import { constantSubjects, jwksSubject, noOpSubject, startConstants } from "./servers/constants.ts";
import { envelope } from "../support/fixtures/http2-bytes.ts";
import { sessionsOf, startSessiond } from "./sessiond.ts";
import { runSql } from "../support/postgres/sql.ts";

const kept = 20_000;
const revocationsPerSecond = 10_000;

interface Tree {
  readonly name: string;
  readonly server: BenchServer;
}

/**
 * Compares this checkout with another one, which needs its own node_modules. Uses the other's entry point and public API only.
 * The two take turns in every round.
 */
export async function against(bench: Bench, directory: string): Promise<Result> {
  const own = await startTree(bench, "this", new URL("../..", import.meta.url).pathname);
  const other = await startTree(bench, "other", resolve(directory));
  const constants = await startConstants(bench, ["@grpc/grpc-js"]);
  const subjectsOf: Readonly<Record<string, (tree: Tree) => Subject | Promise<Subject>>> = {
    "no-op, gRPC": ({ name, server }) => noOpSubject(bench, `no-op, gRPC: ${name}`, server),
    "no-op, REST": ({ name, server }) => jwksSubject(bench, `no-op, REST: ${name}`, server, "rest"),
    "no-op, Connect JSON": ({ name, server }) =>
      jwksSubject(bench, `no-op, Connect JSON: ${name}`, server, "connect"),
    Authenticate: (tree) => authenticateSubject(bench, tree),
    Revoke: (tree) => revokeSubject(bench, tree),
  };
  const figures: Figure[] = [];
  for (const [row, subjectOf] of Object.entries(subjectsOf)) {
    const subjects = [await subjectOf(own), await subjectOf(other)];
    if (row === "no-op, gRPC") subjects.push(...constantSubjects(bench, constants, ["@grpc/grpc-js"]));
    figures.push(...(await measure(bench, subjects)));
  }
  const ratio = (what: string, figure: string, yardstick: string) =>
    compare(figures, { what, figure, yardstick });
  return {
    title: `This checkout (${own.name}) / the other (${other.name}), 128 in flight`,
    figures,
    comparisons: [
      ...Object.keys(subjectsOf).flatMap((row) =>
        ratio(`${row}: this / other`, `${row}: ${own.name}`, `${row}: ${other.name}`),
      ),
      ...[own, other].flatMap(({ name }) => [
        ...ratio(`no-op, gRPC: ${name} / @grpc/grpc-js`, `no-op, gRPC: ${name}`, "@grpc/grpc-js"),
        ...ratio(
          `no-op: ${name}: REST / Connect JSON`,
          `no-op, REST: ${name}`,
          `no-op, Connect JSON: ${name}`,
        ),
      ]),
    ],
    notes: [
      `Authenticate: ${kept} sessions created over the API; Revoke: sessions created before each round`,
    ],
  };
}

async function startTree(bench: Bench, role: string, root: string): Promise<Tree> {
  const { bin }: { bin: { sessiond: string } } = JSON.parse(
    await readFile(join(root, "package.json"), "utf8"),
  );
  // The source of the compiled entry point.
  const main = bin.sessiond.replace(/^dist\//, "").replace(/\.js$/, ".ts");
  const database = `against_${role}`;
  await runSql(bench.postgres.url, `create database ${database}`);
  const server = await startSessiond(bench, database, {
    main: pathToFileURL(join(root, main)),
    preload: "servers/constant-jwks.ts",
  });
  const commit = execFileSync("git", ["-C", root, "rev-parse", "--short", "HEAD"], {
    encoding: "utf8",
  }).trim();
  return { name: `${role} ${commit}`, server };
}

async function authenticateSubject(bench: Bench, { name, server }: Tree): Promise<Subject> {
  const tokens = await createSessions(server, kept, ({ token }) => token);
  const { method } = SessionService;
  const lines = tokens.map((token) =>
    lineOf(method.authenticate, { credential: { case: "token", value: token } }),
  );
  const file = writeCalls(bench.directory, `authenticate ${name}`, lines);
  const job = new Jobs(server.url, bench.extent).grpc(method.authenticate, {}, "member-");
  let skip = 0;
  return loadSubject(bench.load, {
    name: `Authenticate: ${name}`,
    pid: server.pid,
    job: () => ({ ...job, vary: { kind: "lines", file, skip, again: true } }),
    made: (calls) => {
      skip += calls;
    },
  });
}

function revokeSubject(bench: Bench, { name, server }: Tree): Subject {
  const { method } = SessionService;
  const calls = Math.ceil(revocationsPerSecond * bench.extent.seconds);
  return loadSubject(bench.load, {
    name: `Revoke: ${name}`,
    pid: server.pid,
    async job(): Promise<Job> {
      const ids = await createSessions(server, calls, ({ id }) => id);
      const lines = ids.map((id) => lineOf(method.revoke, { target: { case: "id", value: id } }));
      const file = writeCalls(bench.directory, `revoke ${name}`, lines);
      const job = new Jobs(server.url, bench.extent).grpc(method.revoke, {}, "\x18\x01");
      return { ...job, vary: { kind: "lines", file, skip: 0, again: false }, until: { calls } };
    },
  });
}

/** Creates sessions over the API and returns what `pick` takes of each. */
async function createSessions(
  server: BenchServer,
  count: number,
  pick: (created: { readonly id: string; readonly token: string }) => string,
): Promise<readonly string[]> {
  const sessions = sessionsOf(server);
  const picked: string[] = [];
  let left = count;
  const caller = async () => {
    while (left-- > 0) {
      const { session, token } = await sessions.create({ memberId: `member-${left % 1000}` });
      picked.push(pick({ id: session?.id ?? "", token }));
    }
  };
  await Promise.all(Array.from({ length: 64 }, caller));
  return picked;
}

function lineOf<Method extends DescMethodUnary>(
  method: Method,
  request: MessageInitShape<Method["input"]>,
): Line {
  return { body: envelope(toBinary(method.input, create(method.input, request))).toString("base64") };
}
