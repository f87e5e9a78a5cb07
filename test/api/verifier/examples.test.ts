import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newLogin } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";

const run = promisify(execFile);
const tsc = resolve("node_modules/.bin/tsc");
const service = await runningService();
const { projectId, secret } = service;
const folder = await mkdtemp(join(tmpdir(), "sessiond-verifier-"));

afterAll(() => rm(folder, { recursive: true }));

/** The TypeScript examples of a page. */
function examplesOf(page: string): readonly string[] {
  const text = readFileSync(page, "utf8").replaceAll('"http://127.0.0.1:8080"', JSON.stringify(service.url));
  return Array.from(text.matchAll(/^```ts\n(.*?)^```/gms), ([, block = ""]) => block);
}

/** Makes one program of the verifier's examples, with the parts around them that the page leaves out. */
function verifierProgram(): string {
  const example = examplesOf("src/client/verifier/README.md")
    .join("\n")
    .replace('.listen(8081, "127.0.0.1")', '.listen(0, "127.0.0.1", answer)');
  return `
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connectNodeAdapter, createConnectTransport } from "@connectrpc/connect-node";
import { createClient } from "@connectrpc/connect";
import { ServerCredentials, Metadata, credentials } from "@grpc/grpc-js";
import { grpcClient } from "sessiond/grpc";
const [projectId = "", secret = "", jwt = ""] = process.argv.slice(2);
${example}
async function answer(this: { address(): unknown; close(): void }) {
  const authorization = "Bearer " + jwt;
  const at = (server: { address(): unknown }) => "http://127.0.0.1:" + (server.address() as AddressInfo).port;
  const asked = async (headers: Record<string, string>) => {
    const response = await fetch(at(this), { headers: { connection: "close", ...headers } });
    return [response.status, response.status === 200 ? await response.text() : response.headers.get("www-authenticate")];
  };
  console.log("node", ...(await asked({ authorization })), ...(await asked({})));
  this.close();
  console.log("fetch", await (await handle(new Request("http://x/", { headers: { cookie: "session_jwt=" + jwt } }))).text());
  console.log("fetch", (await handle(new Request("http://x/"))).status);
  const connectServer = createServer(connectNodeAdapter({ routes })).listen(0, "127.0.0.1");
  await once(connectServer, "listening");
  const client = createClient(SessionService, createConnectTransport({ baseUrl: at(connectServer), httpVersion: "1.1" }));
  console.log("connect", (await client.get({}, { headers: { authorization } })).session?.memberId);
  console.log("connect", await client.get({}).then(() => "let in", (error: Error) => error.message));
  connectServer.closeAllConnections();
  connectServer.close();
  server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (_error, port) => {
    const client = grpcClient(SessionService, "127.0.0.1:" + port, credentials.createInsecure());
    const metadata = new Metadata();
    metadata.set("authorization", authorization);
    client.get({}, metadata, (_error, response) => {
      console.log("grpc", response?.session?.memberId);
      client.get({}, (error) => {
        console.log("grpc", error?.code);
        client.close();
        server.forceShutdown();
        void verifier.close();
      });
    });
  });
}
`;
}

// Compiling the package and the examples takes its time on a busy machine.
const patience = 120_000;

beforeAll(async () => {
  const installed = join(folder, "node_modules", "sessiond");
  mkdirSync(installed, { recursive: true });
  await run(tsc, ["-p", ".", "--outDir", join(installed, "dist")]);
  cpSync("package.json", join(installed, "package.json"));
  for (const name of ["@grpc", "@bufbuild", "@connectrpc", "@types", "lru-cache", "undici-types", "uuid"]) {
    symlinkSync(resolve("node_modules", name), join(folder, "node_modules", name));
  }
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
}, patience);

test(
  "the verifier's examples compile, accept members, refuse others, and leave nothing running",
  async () => {
    expect(await outputOf("verifier", verifierProgram())).toEqual([
      "hello alice",
      "node 200 hello alice 401 Bearer",
      "fetch hello alice",
      "fetch 401",
      "connect alice",
      "connect [unauthenticated] the request carries no session JWT",
      "grpc alice",
      "grpc 16",
    ]);
  },
  patience,
);

test(
  "the examples of README.md compile and run",
  async () => {
    const program = `
const [projectId = "", secret = "", jwt = ""] = process.argv.slice(2);
${examplesOf("README.md").join("\n")}
console.log(session?.memberId);
process.exit();
`;
    expect(await outputOf("readme", program)).toEqual(["hello alice", "alice"]);
  },
  patience,
);

/** Compiles and runs a program that gets the project, its secret and a session JWT; returns its lines of output. */
async function outputOf(name: string, program: string): Promise<readonly string[]> {
  writeFileSync(join(folder, `${name}.ts`), program);
  const strict = "--strict --module nodenext --target es2024 --types node --skipLibCheck".split(" ");
  await run(tsc, [...strict, `${name}.ts`], { cwd: folder }).catch((error: { stdout: string }) => {
    throw new Error(error.stdout);
  });
  const { jwt } = await newLogin(service, { memberId: "alice" });
  const child = spawn(process.execPath, [`${name}.js`, projectId, secret, jwt], { cwd: folder });
  const exited = once(child, "exit");
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = await exited;
  expect({ errors, code }).toEqual({ errors: "", code: 0 });
  return output.trimEnd().split("\n");
}
