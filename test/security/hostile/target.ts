import { Writable } from "node:stream";
import { pino } from "pino";
import { afterAll, beforeAll } from "vitest";
import { permissions } from "../../../src/domain/project.ts";
import { readConfig } from "../../../src/server/config/config.ts";
import { startService } from "../../../src/server/service.ts";
import { recordOutput, recordSecret } from "../../support/output/output.ts";
import { createTestDatabase } from "../../support/postgres/test-database.ts";

/** A project of the target with a credential that may do everything. */
export interface Tenant {
  readonly id: string;
  readonly secret: string;
  /** `authorization` of the credential. */
  readonly basic: string;
}

/** A session that was created, with its secrets. */
export interface Issued {
  readonly id: string;
  readonly token: string;
  readonly jwt: string;
}

/** What came back. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; undefined where it is none. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into it freely
  readonly json: any;
}

/** The service under attack, for one test file. Everything it says, in answers and in the log, is kept. */
export class Target {
  port = 0;
  /** The operator's project, and a second one. */
  home!: Tenant;
  foreign!: Tenant;
  /** Every line of the log. */
  readonly log: string[] = [];
  /** Every answer that {@link send} got, but for the documented places where a secret is handed out. */
  readonly answers: string[] = [];
  /** What must appear in none of them. */
  readonly secrets = new Set<string>();
  readonly masterKey = Buffer.alloc(32, 7).toString("base64");

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** `authorization` for a project and a secret. */
  basic(projectId: string, secret: string): string {
    const encoded = Buffer.from(`${projectId}:${secret}`).toString("base64");
    this.secrets.add(secret).add(encoded);
    return `Basic ${encoded}`;
  }

  /** Sends a request; `body` is sent as JSON unless it is text or bytes. */
  async send(
    method: string,
    path: string,
    { headers = {}, body }: { headers?: Record<string, string>; body?: unknown } = {},
  ): Promise<Answer> {
    const isRaw = body === undefined || typeof body === "string" || body instanceof Uint8Array;
    const response = await fetch(this.url + path, {
      method,
      headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
      ...(body === undefined ? {} : { body: isRaw ? (body as string) : JSON.stringify(body) }),
    });
    const text = await textOf(response);
    const answer = { status: response.status, headers: response.headers, text, json: parsed(text) };
    this.answers.push(`${[...response.headers].join("\n")}\n${text}`);
    return answer;
  }

  /** Calls a method of the service's own API with Connect JSON, as the operator unless told otherwise. */
  call(method: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const path = method.includes(".") ? `/${method}` : `/session.v1.${method}`;
    return this.send("POST", path, {
      headers: { authorization: this.home.basic, ...headers },
      body: body ?? {},
    });
  }

  /** Creates a session and notes its secrets. */
  async createSession(
    fields: Record<string, unknown> = { memberId: "alice" },
    tenant = this.home,
  ): Promise<Issued> {
    const answer = await this.call("SessionService/Create", fields, { authorization: tenant.basic });
    this.answers.pop();
    requireOk(answer);
    const { session, token, jwt } = answer.json;
    this.secrets.add(token).add(jwt);
    return { id: session.id, token, jwt };
  }

  /** Creates a project with a credential that may do everything. */
  async createTenant(id: string): Promise<Tenant> {
    requireOk(await this.call("ProjectService/CreateProject", { id }));
    const { secret } = await this.createCredential(id, permissions);
    return { id, secret, basic: this.basic(id, secret) };
  }

  /** Creates a credential. */
  async createCredential(
    projectId: string,
    granted: readonly string[],
  ): Promise<{ id: string; secret: string }> {
    const answer = await this.call("ProjectService/CreateServiceCredential", {
      projectId,
      permissions: granted,
    });
    this.answers.pop();
    requireOk(answer);
    this.secrets.add(answer.json.secret);
    return { id: answer.json.credential.id, secret: answer.json.secret };
  }

  /** Where in the log or in an answer something of the secrets stands. */
  leaks(): string[] {
    const said = [...this.log, ...this.answers];
    return [...this.secrets].flatMap((secret) =>
      said
        .filter((line) => line.includes(secret))
        .map((line) => line.slice(Math.max(0, line.indexOf(secret) - 200)).slice(0, 300)),
    );
  }
}

/** Starts the service for a test file; after all tests it must still serve, and have failed nowhere. */
export function attackTarget(environment: Record<string, string> = {}): Target {
  const target = new Target();
  const crashes: unknown[] = [];
  const onCrash = (error: unknown) => crashes.push(error);
  const stops: (() => Promise<void>)[] = [];
  beforeAll(async () => {
    process.on("unhandledRejection", onCrash).on("uncaughtException", onCrash);
    const database = await createTestDatabase();
    stops.push(() => database.drop());
    target.home = { id: "home", secret: "home-secret-of-the-operator", basic: "" };
    const read = readConfig({
      DATABASE_URL: database.url,
      SESSIOND_MASTER_KEY: target.masterKey,
      SESSIOND_LISTEN: "127.0.0.1:0",
      SESSIOND_BOOTSTRAP_PROJECT: `home:${target.home.secret}`,
      SESSIOND_SHUTDOWN_GRACE_MS: "0",
      // Every attack is to reach what it is meant for.
      SESSIOND_FAILED_AUTHENTICATIONS_PER_SECOND_PER_ADDRESS: "0",
      ...environment,
    });
    if ("problems" in read) throw new Error(read.problems.join("\n"));
    const lines = new Writable({
      write: (chunk, _encoding, done) => {
        target.log.push(String(chunk));
        recordOutput("log", String(chunk));
        done();
      },
    });
    const service = await startService(read.config, pino({ level: "trace", base: null }, lines));
    stops.push(() => service.stop());
    target.port = service.port;
    target.home = { ...target.home, basic: target.basic("home", target.home.secret) };
    target.secrets.add(target.masterKey);
    recordSecret({ kind: "a master key", text: target.masterKey });
    target.foreign = await target.createTenant("foreign");
  });
  afterAll(async () => {
    for (const stop of stops.toReversed()) await stop();
    process.off("unhandledRejection", onCrash).off("uncaughtException", onCrash);
    if (crashes.length > 0) throw new AggregateError(crashes, "the attack got through to the process");
  });
  return target;
}

/** What an answer says; of a stream that has no end, its first piece. */
async function textOf(response: Response): Promise<string> {
  const isStream = /ndjson|event-stream/.test(response.headers.get("content-type") ?? "");
  if (!isStream) return response.text();
  const reader = response.body?.getReader();
  const first = await reader?.read();
  await reader?.cancel();
  return new TextDecoder().decode(first?.value);
}

/** For what a test needs and is not about. */
function requireOk({ status, text }: Answer): void {
  if (status !== 200) throw new Error(`the answer is ${status}: ${text}`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
