import { globSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { afterAll, expect, test } from "vitest";
import { runningService } from "../support/fixtures/running-service.ts";
import { childEnvironment } from "../support/process/child.ts";
import { runCommand } from "../support/process/command.ts";

const service = await runningService();
const folder = await mkdtemp(join(tmpdir(), "sessiond-stubs-"));
afterAll(() => rm(folder, { recursive: true }));
await symlink(resolve("proto"), join(folder, "proto"));

const javaClasses = "/usr/share/java/protobuf.jar";
const environment = childEnvironment({
  HOME: homedir(),
  GO111MODULE: "off",
  GOFLAGS: "",
  GOPATH: `${folder}:/usr/share/gocode`,
  PYTHONDONTWRITEBYTECODE: "1",
});
/** Compilers take their time when their caches are empty. */
const timeout = 240_000;

interface Tool {
  /** Succeeds if the tool is installed. */
  readonly check: string;
  /** The packages of Debian that have it. */
  readonly packages: string;
}

const protoc: Tool = { check: "protoc --version", packages: "protobuf-compiler" };
const python: readonly Tool[] = [
  protoc,
  { check: "command -v grpc_python_plugin", packages: "protobuf-compiler-grpc" },
  {
    check: "/usr/bin/python3 -c 'import google.protobuf, grpc'",
    packages: "python3-grpcio python3-protobuf",
  },
];
const go: readonly Tool[] = [
  protoc,
  { check: "protoc-gen-go --version", packages: "protoc-gen-go" },
  { check: "protoc-gen-go-grpc --version", packages: "protoc-gen-go-grpc" },
  {
    check: "go list google.golang.org/grpc google.golang.org/genproto/googleapis/rpc/errdetails",
    packages: "golang-go golang-google-grpc-dev",
  },
  {
    // Version 1.3 of the library cannot be linked with what protoc-gen-go generates.
    check: "go list -deps github.com/golang/protobuf/proto | grep google.golang.org/protobuf/proto",
    packages: "golang-github-golang-protobuf-1-5-dev",
  },
];
const java: readonly Tool[] = [
  protoc,
  { check: "javac -version", packages: "default-jdk-headless" },
  { check: `test -e ${javaClasses}`, packages: "libprotobuf-java" },
];

/** Whether a tool is missing. Names the packages of the missing ones. */
async function lacks(language: string, tools: readonly Tool[]): Promise<boolean> {
  const missing: string[] = [];
  for (const { check, packages } of tools) {
    const { status } = await runCommand("sh", ["-c", check], { environment });
    if (status !== 0) missing.push(packages);
  }
  if (missing.length > 0) {
    console.warn(`SKIPPED: stubs for ${language}. Missing packages of Debian: ${missing.join(" ")}`);
  }
  return missing.length > 0;
}

async function run(command: string, args: readonly string[], extra: NodeJS.ProcessEnv = {}): Promise<string> {
  const options = { cwd: folder, environment: { ...environment, ...extra }, timeout };
  const { status, stdout, stderr } = await runCommand(command, args, options);
  expect({ command, status, stderr }).toEqual({ command, status: 0, stderr: "" });
  return stdout;
}

/** The lines that proto/README.md shows, each with its continuations. */
const shown = Array.from(
  readFileSync("proto/README.md", "utf8").matchAll(/^\$ ((?:.*\\\n)*.*)$/gm),
  ([, line = ""]) => line,
);

/** Generates the stubs for a language with the commands of proto/README.md. Returns their folder. */
async function generate(language: "go" | "python" | "java"): Promise<string> {
  const preparations = shown.filter((line) => /^([A-Z]+=|mkdir)/.test(line));
  const generations = shown.filter(
    (line) => line.startsWith("protoc ") && line.includes(` --${language}_out=`),
  );
  expect(generations).not.toEqual([]);
  await run("bash", ["-e", "-c", [...preparations, ...generations].join("\n")]);
  return join(folder, "stubs", language);
}

/** Where a client finds the service. */
const target = {
  SESSIOND_ADDRESS: `127.0.0.1:${service.port}`,
  SESSIOND_PROJECT: service.projectId,
  SESSIOND_SECRET: service.secret,
};
/** What both clients print. */
const seen = {
  state: "SESSION_STATE_ACTIVE",
  listed: [true],
  first: 0,
  revoked: 1,
  watched: [true],
  heartbeat: { revocations: 0, same_position: true, not_earlier: true },
  resumed: [true],
  refused: { code: "UNAUTHENTICATED", reason: "SESSION_REVOKED", plain: "SESSION_REVOKED" },
  own_credential: { code: "UNAUTHENTICATED", reason: "CREDENTIAL_INVALID", plain: "CREDENTIAL_INVALID" },
  own: 1,
};

test.skipIf(await lacks("Python", python))(
  "a client in Python, with stubs by protoc",
  { timeout },
  async () => {
    const PYTHONPATH = await generate("python");
    const output = await run("/usr/bin/python3", [resolve("test/packaging/stubs/client.py")], {
      ...target,
      PYTHONPATH,
    });
    expect(JSON.parse(output)).toEqual(seen);
  },
);

test.skipIf(await lacks("Go", go))("a client in Go, with stubs by protoc", { timeout }, async () => {
  await symlink(await generate("go"), join(folder, "src"));
  await run("go", ["build", "-o", "client", resolve("test/packaging/stubs/client.go")]);
  expect(JSON.parse(await run("./client", [], target))).toEqual(seen);
});

test.skipIf(await lacks("Java", java))("stubs for Java compile", { timeout }, async () => {
  const out = await generate("java");
  const sources = globSync("**/*.java", { cwd: out }).map((file) => join(out, file));
  const quick = ["-J-XX:TieredStopAtLevel=1", "-proc:none"];
  await run("javac", [...quick, "-cp", javaClasses, "-d", "classes", ...sources]);
  const classes = globSync("classes/sessiond/session/v1/*.class", { cwd: folder });
  expect(classes.map((file) => basename(file, ".class"))).toEqual(
    expect.arrayContaining(["CreateRequest", "SessionServiceProto", "ErrorReason"]),
  );
});

test.skipIf(await lacks("C#", [protoc]))("stubs for C# have a file of its own for every proto", async () => {
  const protos = globSync("proto/{session,rest}/v1/*.proto");
  await mkdir(join(folder, "stubs/csharp"), { recursive: true });
  await run("protoc", ["-I", "proto", "-I", "proto/third_party", "--csharp_out=stubs/csharp", ...protos]);
  expect(globSync("stubs/csharp/*.cs", { cwd: folder })).toHaveLength(protos.length);
});
