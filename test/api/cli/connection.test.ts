import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { authority, tlsFolder } from "../../support/process/certificates.ts";
import { patience } from "../../support/patience.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import {
  callerOf,
  emptyFolder,
  fileWith,
  listenOnLoopback,
  sessiond,
  startSessiond,
} from "./command-process.ts";

const service = await runningService({ projectId: "development" });
const { url, projectId, secret } = service;
const ca = authority();
const folder = tlsFolder();
await folder.mount(ca.issue({ names: ["IP:127.0.0.1"] }), ca.cert);
const secure = await runningService({ environment: folder.environment });
afterAll(() => folder.remove());
const list = ["sessions", "list", "--member", "unknown"];
const done = { status: 0, stderr: "" };

test("options set the service and the credential; the secret is in a file or on standard input", async () => {
  const options = ["--server", url, "--as", projectId, "--secret-file"];
  expect(await sessiond([...list, ...options, await fileWith(`${secret}\n`)])).toMatchObject(done);
  expect(await sessiond([...list, ...options, "-"], { input: secret })).toMatchObject(done);
});

test("variables set the service and the credential; a secret file wins over SESSIOND_SECRET", async () => {
  const caller = callerOf(service);
  expect(await sessiond(list, { environment: caller })).toMatchObject(done);
  const SESSIOND_SECRET_FILE = await fileWith(secret);
  const environment = { ...caller, SESSIOND_SECRET_FILE, SESSIOND_SECRET: "another" };
  expect(await sessiond(list, { environment })).toMatchObject(done);
});

test("white space around variables and secrets counts for nothing", async () => {
  const spaced = Object.entries(callerOf(service)).map(([name, value]) => [name, ` ${value}\r\n`]);
  const environment = Object.fromEntries(spaced) as Record<string, string>;
  expect(await sessiond(list, { environment })).toMatchObject(done);
  const SESSIOND_SECRET_FILE = ` ${await fileWith(`\n  ${secret}\t\n\n`)}\n`;
  expect(await sessiond(list, { environment: { ...environment, SESSIOND_SECRET_FILE } })).toMatchObject(done);
  const options = ["--secret-file", "-"];
  expect(await sessiond([...list, ...options], { environment, input: `${secret} \n` })).toMatchObject(done);
});

test("a variable or secret with a control character is refused by name, and not printed", async () => {
  const environment = callerOf(service);
  for (const name of Object.keys(environment)) {
    const wrong = { ...environment, [name]: "a-value\u0007with-a-bell" };
    const { status, stderr } = await sessiond(list, { environment: wrong });
    expect({ name, status }).toEqual({ name, status: 2 });
    expect(stderr).toContain(`${name} must not contain a line break or another control character`);
    expect(stderr).not.toContain("with-a-bell");
  }
  const SESSIOND_SECRET_FILE = await fileWith(`${secret}\u0000`);
  const { status, stderr } = await sessiond(list, { environment: { ...environment, SESSIOND_SECRET_FILE } });
  expect(status).toBe(1);
  expect(stderr).toContain("holds no secret: it has a control character");
  expect(stderr).not.toContain(secret);
});

test("options win over variables, and an empty variable counts as absent", async () => {
  const caller = { url: "http://127.0.0.1:1", projectId: "another", secret: "another" };
  const environment = { ...callerOf(caller), SESSIOND_SECRET_FILE: "" };
  const options = ["--server", url, "--as", projectId, "--secret-file", await fileWith(secret)];
  expect(await sessiond([...list, ...options], { environment })).toMatchObject(done);
});

/** A folder with the development secret of `sessiond serve`. */
async function developmentFolder(): Promise<string> {
  const folder = await emptyFolder();
  await mkdir(join(folder, ".sessiond"));
  await writeFile(join(folder, ".sessiond", "development-secret"), `${secret}\n`);
  return folder;
}

test("the default is the development project of this folder, or of SESSIOND_DATA_DIR", async () => {
  const cwd = await developmentFolder();
  const environment = { SESSIOND_SERVER: url };
  expect(await sessiond(list, { environment, cwd })).toMatchObject(done);
  const elsewhere = { environment: { ...environment, SESSIOND_DATA_DIR: join(cwd, ".sessiond") } };
  expect(await sessiond(list, elsewhere)).toMatchObject(done);

  const refused = await sessiond(list, { environment, cwd: await emptyFolder() });
  expect(refused.status).toBe(2);
  expect(refused.stderr).toContain("SESSIOND_SECRET_FILE");
  expect(refused.stderr).toContain("there is no secret in");
});

test.each(["http://sessiond.example", "http://127.0.0.1.example", "http://10.0.0.1:8080"])(
  "the development secret is not sent to %s",
  async (server) => {
    const cwd = await developmentFolder();
    const { status, stderr } = await sessiond([...list, "--server", server], { cwd });
    expect(status).toBe(2);
    expect(stderr).toContain("no credential for");
  },
);

test.each([
  [{ SESSIOND_PROJECT: "p" }, "no secret for project p"],
  [{ SESSIOND_SECRET: "a-secret-value" }, "without a calling project"],
  [{ SESSIOND_SERVER: "localhost:8080" }, "must be a URL"],
  [{ SESSIOND_SERVER: "http://p:a-secret-value@localhost" }, "without a credential in it"],
])("rejects a wrong or incomplete environment: %j", async (environment, words) => {
  const { status, stderr } = await sessiond(list, { environment, cwd: await emptyFolder() });
  expect(status).toBe(2);
  expect(stderr).toContain(words);
  expect(stderr).not.toContain("a-secret-value");
});

test.each([
  ["\n", "it is empty"],
  ["two\nlines", "several lines"],
  ["x".repeat(70_000), "too long"],
])("rejects a file without a secret and does not repeat it: %#", async (text, words) => {
  const file = await fileWith(text);
  const { status, stderr } = await sessiond([...list, "--server", url, "--as", "p", "--secret-file", file]);
  expect(status).toBe(1);
  expect(stderr).toContain(words);
  expect(stderr.trimEnd()).not.toContain(text);
});

test("standard input can hold only one secret", async () => {
  const args = ["sessions", "revoke", "--token-file", "-", "--secret-file", "-"];
  const { status, stderr } = await sessiond([...args, "--as", "p", "--server", url], { input: secret });
  expect(status).toBe(2);
  expect(stderr).toContain("only one secret");
});

test.runIf(process.platform === "linux")(
  "no secret is in the arguments of the process or in its output",
  async () => {
    const file = await fileWith(secret);
    const environment = { SESSIOND_SERVER: url, SESSIOND_PROJECT: projectId, SESSIOND_SECRET_FILE: file };
    const watch = startSessiond(["sessions", "watch"], { environment });
    await vi.waitUntil(() => watch.stderr().includes("watching"), patience);
    expect(await readFile(`/proc/${watch.pid}/cmdline`, "utf8")).not.toContain(secret);
    watch.signal("SIGINT");
    expect(await watch.ended).toBe(0);
    expect(watch.stdout() + watch.stderr()).not.toContain(secret);
  },
);

test("a private certificate authority needs NODE_EXTRA_CA_CERTS, and the error says so", async () => {
  const environment = callerOf(secure);
  for (const args of [list, ["sessions", "watch"], ["doctor"]]) {
    const { status, stdout, stderr } = await sessiond(args, { environment });
    expect(status).toBe(1);
    expect(stdout + stderr).toContain(`the certificate of ${secure.url} is not trusted`);
    expect(stdout + stderr).toContain("NODE_EXTRA_CA_CERTS");
  }
  const NODE_EXTRA_CA_CERTS = await fileWith(ca.cert);
  expect(await sessiond(list, { environment: { ...environment, NODE_EXTRA_CA_CERTS } })).toMatchObject(done);

  const SESSIOND_SERVER = secure.url.replace("https:", "http:");
  const plain = await sessiond(list, { environment: { ...environment, SESSIOND_SERVER } });
  expect(plain.status).toBe(5);
  expect(plain.stderr).toContain(`${SESSIOND_SERVER} cannot be reached`);
});

test("a server that does not answer within --timeout is unavailable", async () => {
  const port = await listenOnLoopback(createServer(() => undefined));
  const environment = { ...callerOf(service), SESSIOND_SERVER: `http://127.0.0.1:${port}` };
  const { status, stderr } = await sessiond([...list, "--timeout", "0.3"], { environment });
  expect(status).toBe(5);
  expect(stderr).toContain("did not answer within 0.3 s");
});
