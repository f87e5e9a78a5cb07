import { Permission } from "../../../gen/session/v1/project_pb.ts";
import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { credentials } from "@grpc/grpc-js";
import { afterAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { type TlsClientOptions, connectSessiond } from "../../../src/client/client.ts";
import { errorInfoOf } from "../../../src/client/error-info.ts";
import { grpcClient } from "../../../src/client/grpc.ts";
import { createVerifier } from "../../../src/client/verifier/verifier.ts";
import { authority, tlsFolder } from "../../support/process/certificates.ts";
import { curl } from "../../support/process/command.ts";
import { answerTo, metadataOf } from "../../support/process/grpc-js.ts";
import { reasonOf } from "../../support/fixtures/logins.ts";
import { patience } from "../../support/patience.ts";
import { runningService, testMasterKey } from "../../support/fixtures/running-service.ts";
import { logged, serveProcess } from "../../support/process/serve-process.ts";

const ca = authority();
const clients = authority();
const folder = tlsFolder();
const newServer = () => ca.issue({ names: ["IP:127.0.0.1", "DNS:localhost"] });
await folder.mount(newServer(), clients.cert);
const service = await runningService({ environment: folder.environment });
const pems = await mkdtemp(join(tmpdir(), "sessiond-pems-"));
afterAll(async () => {
  await folder.remove();
  await rm(pems, { recursive: true });
});

const { projectId } = service;
const tls: TlsClientOptions = { ca: ca.cert };
const credential = { projectId, secret: service.secret };
const admin = connectSessiond({ baseUrl: service.url, credential, tls });
const secondProject = "project-test-second";
await admin.projects.createProject({ id: secondProject });

/** A client that trusts the server's CA, with this certificate. */
const connected = (certificate: ClientPems, baseUrl = service.url) =>
  connectSessiond({ baseUrl, tls: { ...tls, ...certificate } });

/** A client certificate with this name, registered or not. */
const certified = (name: string) => clients.issue({ names: [name] });

/** Registers a certificate name for a service that may do this. */
async function register(certificateName: string, permissions: Permission[], project = projectId) {
  const { credential } = await admin.projects.createServiceCredential({
    projectId: project,
    permissions,
    certificateNames: [certificateName],
  });
  return credential?.id ?? "";
}

const may = [
  Permission.SESSIONS_CREATE,
  Permission.SESSIONS_READ,
  Permission.SESSIONS_AUTHENTICATE,
  Permission.SESSIONS_REVOKE,
  Permission.REVOCATIONS_WATCH,
];
const ordersId = "spiffe://prod.example/ns/shop/sa/orders";
const ordersCredential = await register(ordersId, may);
const orders = certified(`URI:${ordersId}`);
await register("second.example", may, secondProject);
const second = certified("DNS:second.example");

/** Writes PEM files for curl. */
function pem(name: string, text: string): string {
  const file = join(pems, name);
  writeFileSync(file, text);
  return file;
}
const caFile = ["--cacert", pem("ca.crt", ca.cert)];
const asOrders = ["--cert", pem("orders.crt", orders.cert), "--key", pem("orders.key", orders.key)];

/** Certificates of a client. */
type ClientPems = Readonly<Partial<Record<"ca" | "cert" | "key", string>>>;

/** Ways to create a session with only a certificate. They reject with an error that has a reason. */
const ways: readonly [string, (options: ClientPems, headers?: Record<string, string>) => Create][] = [
  [
    "Connect's gRPC",
    (options, headers = {}) =>
      (request) =>
        connected(options).sessions.create(request, { headers }),
  ],
  ["Connect over HTTP/2", (options, headers) => viaConnect("2", options, headers)],
  ["Connect over HTTP/1.1", (options, headers) => viaConnect("1.1", options, headers)],
  [
    "grpc-js",
    (options, headers = {}) =>
      async (request) => {
        const channel = credentials.createSsl(
          Buffer.from(options.ca ?? ca.cert),
          options.key === undefined ? null : Buffer.from(options.key),
          options.cert === undefined ? null : Buffer.from(options.cert),
        );
        const client = grpcClient(SessionService, `127.0.0.1:${service.port}`, channel);
        onTestFinished(() => client.close());
        const deadline = Date.now() + 15_000;
        return answerTo((done) => client.create(request, metadataOf(headers), { deadline }, done));
      },
  ],
];

type Create = (request: { memberId: string }) => Promise<{ session?: { id: string } | undefined }>;

function viaConnect(
  httpVersion: "1.1" | "2",
  options: ClientPems,
  headers: Record<string, string> = {},
): Create {
  const nodeOptions = { ...tls, ...options };
  const transport = createConnectTransport({ baseUrl: service.url, httpVersion, nodeOptions });
  const client: Client<typeof SessionService> = createClient(SessionService, transport);
  return (request) => client.create(request, { headers });
}

function reason(error: unknown): string {
  return errorInfoOf(error)?.reason ?? reasonOf(error);
}

/** The project in which a call creates a session, or the reason why it fails. */
async function outcome(create: Create): Promise<string> {
  try {
    const { session } = await create({ memberId: "ada" });
    await admin.sessions.get({ id: session?.id ?? "" });
    return "created";
  } catch (error) {
    return reason(error) === "SESSION_NOT_FOUND" ? "created in another project" : reason(error);
  }
}

describe.each(ways)("by %s", (_, by) => {
  test("accepts a registered certificate like a secret", async () => {
    expect(await outcome(by(orders))).toBe("created");
  });

  test("acts in the project of its credential", async () => {
    expect(await outcome(by(second))).toBe("created in another project");
  });

  test("a certificate without a registered name is not a credential", async () => {
    expect(await outcome(by({}))).toBe("CREDENTIAL_MISSING");
    expect(await outcome(by(clients.issue()))).toBe("CREDENTIAL_MISSING");
    expect(await outcome(by(certified("DNS:unknown.example")))).toBe("CREDENTIAL_INVALID");
    const two = clients.issue({ names: [`URI:${ordersId}`, "DNS:second.example"] });
    expect(await outcome(by(two))).toBe("CREDENTIAL_INVALID");
  });

  test("a credential in the headers takes precedence", async () => {
    expect(await outcome(by(second, { authorization: service.basic }))).toBe("created");
    for (const authorization of ["Basic bm9ib2R5OnNlY3JldA==", "Digest x"]) {
      expect(await outcome(by(orders, { authorization }))).toBe("CREDENTIAL_INVALID");
    }
    expect(await outcome(by(orders, { "x-session-token": "sst_no_session" }))).toBe("SESSION_UNKNOWN");
  });

  test("refuses a connection with an invalid certificate, regardless of headers", async () => {
    const names = [`URI:${ordersId}`];
    const expired = clients.issue({ names, notAfter: new Date(Date.now() - 60_000) });
    for (const invalid of [authority().issue({ names }), expired]) {
      const answer = await outcome(by(invalid, { authorization: service.basic }));
      expect(answer).not.toMatch(/created|CREDENTIAL/);
    }
  });

  test("clients refuse a server of another authority", async () => {
    const answer = await outcome(by({ ...orders, ca: authority().cert }));
    expect(answer).toMatch(/self-signed|unable to (get|verify)/);
  });
});

test("refuses a disabled credential on open connections, and frees its name", async () => {
  const id = await register("leaving.example", may);
  const { sessions } = connected(certified("DNS:leaving.example"));
  await sessions.create({ memberId: "ada" });
  await admin.projects.disableServiceCredential({ projectId, id });
  expect(await outcome((request) => sessions.create(request))).toBe("CREDENTIAL_INVALID");
  await register("leaving.example", may, secondProject);
  expect(await outcome((request) => sessions.create(request))).toBe("created in another project");
});

test("refuses a certificate of a disabled project", async () => {
  await admin.projects.createProject({ id: "project-test-closing" });
  await register("closing.example", may, "project-test-closing");
  const { sessions } = connected(certified("DNS:closing.example"));
  await sessions.create({ memberId: "ada" });
  await admin.projects.disableProject({ id: "project-test-closing" });
  expect(await outcome((request) => sessions.create(request))).toBe("PROJECT_DISABLED");
});

test("has the permissions of its credential, and the log names the credential", async () => {
  const { projects } = connected(orders);
  expect(await projects.listProjects({}).catch(reason)).toBe("PERMISSION_MISSING");
  const line = service.log.findLast(({ method }) => method === "session.v1.ProjectService/ListProjects");
  expect(line).toMatchObject({ caller: `service/${ordersCredential}`, project: projectId });
});

describe("a name", () => {
  const creation = (names: string[]) =>
    admin.projects
      .createServiceCredential({ projectId: secondProject, permissions: may, certificateNames: names })
      .then(({ credential }) => credential?.certificateNames, reason);

  test("belongs to one credential in the deployment", async () => {
    expect(await creation([ordersId])).toBe("CERTIFICATE_NAME_EXISTS");
    expect(await creation(["one.example", "one.example", "two.example"])).toEqual([
      "one.example",
      "two.example",
    ]);
    const { credentials: listed } = await admin.projects.listServiceCredentials({ projectId: secondProject });
    expect(listed[0]?.certificateNames).toEqual(["one.example", "two.example"]);
  });

  test("is refused by its field if invalid", async () => {
    const body = { permissions: may, certificate_names: ["a.example", "spiffe://prod.example", "10.0.0.1"] };
    const at = `${service.url}/session/v1/projects/${secondProject}/credentials`;
    const as = ["-u", `${projectId}:${service.secret}`];
    const answer = await curl(...caFile, ...as, "--json", JSON.stringify(body), at);
    expect(answer.status).toBe(400);
    expect(answer.body).toContain("certificate_names[1]: must be a SPIFFE ID with a path, or a DNS name");
    expect(answer.body).toContain("certificate_names[2]: ");
    expect(await creation(Array.from({ length: 17 }, (_, i) => `n${i}.example`))).toBe("FIELD_INVALID");
  });
});

describe.each([["--http1.1"], ["--http2"]])("REST with curl %s", (version) => {
  const ask = (...args: string[]) => curl(version, ...caFile, ...args);

  test("takes a certificate", async () => {
    const create = ["--json", '{"member_id": "bob"}', `${service.url}/session/v1/sessions`];
    const answer = await ask(...asOrders, ...create);
    expect(answer.status).toBe(200);
    expect(answer.version).toBe(version === "--http2" ? "HTTP/2" : "HTTP/1.1");
    expect((await ask(...create)).status).toBe(401);
  });

  test("Stytch's APIs accept it instead of Basic, also with a member session", async () => {
    const create = () => admin.sessions.create({ memberId: "carol" });
    const revoke = (path: string, body: object, ...more: string[]) =>
      ask(...asOrders, "--json", JSON.stringify(body), ...more, `${service.url}${path}`);
    const one = await create();
    expect((await revoke("/v1/sessions/revoke", { session_token: one.token })).status).toBe(200);
    const [two, other] = [await create(), await admin.sessions.create({ memberId: "dora" })];
    const asCarol = ["-H", `X-Stytch-Member-Session: ${two.token}`];
    const bearer = ["-H", `Authorization: Bearer ${other.token}`];
    for (const [path, token, header, status] of [
      ["/v1/b2b/sessions/revoke", other.token, asCarol, 403],
      ["/v1/b2b/sessions/revoke", two.token, asCarol, 200],
      ["/v1/sessions/revoke", other.token, bearer, 401],
    ] as const) {
      expect((await revoke(path, { session_token: token }, ...header)).status).toBe(status);
    }
  });

  test("health needs no certificate", async () => {
    expect((await ask(`${service.url}/healthz`)).status).toBe(200);
  });
});

test("Kratos's cookie is Secure", async () => {
  const mine = await admin.sessions.create({ memberId: "fay" });
  const other = await admin.sessions.create({ memberId: "fay" });
  const url = `${service.url}/auth/sessions/${other.session?.id}`;
  const withCookie = ["-X", "DELETE", "-b", `ory_kratos_session=${mine.token}`];
  const end = (origin: string) => curl(...caFile, ...withCookie, "-H", `Origin: ${origin}`, url);
  expect((await end(`http://127.0.0.1:${service.port}`)).status).toBe(403);
  expect((await end(service.url)).status).toBe(204);
});

test("a verifier trusts the server by its CA and authenticates with its certificate", async () => {
  const { jwt, session } = await admin.sessions.create({ memberId: "gus" });
  const verifier = createVerifier({
    baseUrl: service.url,
    credential: { projectId },
    tls: { ...tls, ...orders },
    onStale: "refuse",
  });
  onTestFinished(() => verifier.close());
  await verifier.ready();
  expect(await verifier.verify(jwt)).toMatchObject({ ok: true, claims: { memberId: "gus" } });
  const received = new Promise((resolve) => verifier.events.once("revocation", resolve));
  await admin.sessions.revoke({ target: { case: "id", value: session?.id ?? "" } });
  await received;
  expect(await verifier.verify(jwt)).toMatchObject({ ok: false, reason: "revoked" });

  const distrusting = createVerifier({ baseUrl: service.url, credential: { projectId } });
  onTestFinished(() => distrusting.close());
  expect(await distrusting.verify(jwt)).toMatchObject({ ok: false, reason: "stale" });
});

test("reloads changed files during calls", async () => {
  const own = tlsFolder();
  onTestFinished(() => own.remove());
  await own.mount(newServer(), clients.cert);
  const renewing = await runningService({ databaseUrl: service.databaseUrl, environment: own.environment });
  const before = connected(orders, renewing.url);
  await before.sessions.create({ memberId: "ada" });

  const other = authority();
  await own.mount(other.issue({ names: ["IP:127.0.0.1"] }), clients.cert);
  const isChanged = () => renewing.log.some(({ msg }) => msg === "TLS certificates changed");
  await vi.waitUntil(isChanged, patience);
  const after = connected({ ...orders, ca: other.cert }, renewing.url);
  for (const { sessions } of [before, after]) await sessions.create({ memberId: "ada" });
  const distrusting = connected(orders, renewing.url);
  await expect(distrusting.sessions.create({ memberId: "ada" })).rejects.toThrow(/unable to|self-signed/);
});

describe("the command", () => {
  const environment = { DATABASE_URL: service.databaseUrl, SESSIOND_MASTER_KEY: testMasterKey };

  test("logs https and serves it from every worker", async () => {
    const process = serveProcess({ ...environment, ...folder.environment, SESSIOND_WORKERS: "2" });
    const baseUrl = `https://127.0.0.1:${await process.listening}`;
    expect(process.stdout()).toContain(`sessiond listens on ${baseUrl} `);
    const workers = new Set<number>();
    while (workers.size < 2) {
      const { sessions } = connected(orders, baseUrl);
      await sessions.create({ memberId: "ada" });
      const lines = await logged(process, "call");
      for (const { pid } of lines) workers.add(pid);
    }
    expect(workers.size).toBe(2);
  });

  test.each(["1", "2"])("with %s workers refuses mismatched files", async (workers) => {
    const broken = tlsFolder();
    onTestFinished(() => broken.remove());
    await broken.mount({ cert: newServer().cert, key: newServer().key }, clients.cert);
    const process = serveProcess({ ...environment, ...broken.environment, SESSIOND_WORKERS: workers });
    expect(await process.ended).toBe(1);
    expect(process.stderr()).toBe(
      "sessiond cannot start: SESSIOND_TLS_KEY_FILE: is not the key of the first certificate in SESSIOND_TLS_CERT_FILE\n",
    );
  });
});
