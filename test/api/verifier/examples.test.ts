import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newLogin } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import {
  type Application,
  compilePatience,
  installPackage,
} from "../../support/process/installed-package.ts";

const service = await runningService();
let application: Application;

beforeAll(async () => {
  application = await installPackage();
}, compilePatience);

afterAll(() => application.remove());

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
  compilePatience,
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
  compilePatience,
);

/** Runs a program that gets the project, its secret and a session JWT. */
async function outputOf(name: string, program: string): Promise<readonly string[]> {
  const { jwt } = await newLogin(service, { memberId: "alice" });
  return application.run(name, program, [service.projectId, service.secret, jwt]);
}
