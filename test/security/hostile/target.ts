import { permissions } from "../../../src/domain/project.ts";
import {
  type RunningService,
  basicAuthorization,
  runningService,
} from "../../support/fixtures/running-service.ts";

/** A project of the target, with a credential that has all permissions. */
export interface Tenant {
  readonly id: string;
  readonly secret: string;
  /** Authorization header of the credential. */
  readonly basic: string;
}

export interface Issued {
  readonly id: string;
  readonly token: string;
  readonly jwt: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; undefined if it is not JSON. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests read any field
  readonly json: any;
}

/** The service under attack. Keeps its answers, to search them for secrets. */
export class Target {
  readonly port: number;
  readonly url: string;
  readonly home: Tenant;
  /** All answers except those that hand out a secret. */
  readonly answers: string[] = [];
  /** Texts that neither an answer nor the log may contain. */
  readonly secrets = new Set<string>();
  readonly #log: readonly string[];

  constructor({ port, url, projectId, secret, logText }: RunningService) {
    this.port = port;
    this.url = url;
    this.#log = logText;
    this.home = { id: projectId, secret, basic: this.basic(projectId, secret) };
  }

  /** Authorization header for a project and a secret, which becomes one of the secrets. */
  basic(projectId: string, secret: string): string {
    const basic = basicAuthorization(projectId, secret);
    this.secrets.add(secret).add(basic.slice("Basic ".length));
    return basic;
  }

  /** Sends a request; `body` is sent as JSON unless it is text or bytes. */
  async send(
    method: string,
    path: string,
    { headers = {}, body }: { headers?: Record<string, string>; body?: unknown } = {},
  ): Promise<Answer> {
    const isRaw = typeof body === "string" || body instanceof Uint8Array;
    const response = await fetch(this.url + path, {
      method,
      headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
      ...(body === undefined ? {} : { body: isRaw ? (body as string) : JSON.stringify(body) }),
    });
    const text = await textOf(response);
    this.answers.push(`${[...response.headers].join("\n")}\n${text}`);
    return { status: response.status, headers: response.headers, text, json: parsed(text) };
  }

  /** Calls `Service/Method` of the service's own API with Connect JSON, by default as the operator. */
  call(method: string, body: object, headers: Record<string, string> = {}): Promise<Answer> {
    return this.send("POST", `/session.v1.${method}`, {
      headers: { authorization: this.home.basic, ...headers },
      body,
    });
  }

  async createSession(fields: object = { memberId: "alice" }, tenant = this.home): Promise<Issued> {
    const { session, token, jwt } = await this.#handOut("SessionService/Create", fields, tenant);
    this.secrets.add(token).add(jwt);
    return { id: session.id, token, jwt };
  }

  async createTenant(id: string): Promise<Tenant> {
    await this.#handOut("ProjectService/CreateProject", { id });
    const { secret } = await this.createCredential(id, permissions);
    return { id, secret, basic: this.basic(id, secret) };
  }

  async createCredential(
    projectId: string,
    granted: readonly string[],
  ): Promise<{ id: string; secret: string }> {
    const request = {
      projectId,
      permissions: granted.map((name) => `PERMISSION_${name.replace(".", "_").toUpperCase()}`),
    };
    const { credential, secret } = await this.#handOut("ProjectService/CreateServiceCredential", request);
    this.secrets.add(secret);
    return { id: credential.id, secret };
  }

  /** State of a session, by `Get`. */
  async stateOf({ id }: Pick<Issued, "id">, { basic }: Tenant = this.home): Promise<string> {
    const { json } = await this.call("SessionService/Get", { id }, { authorization: basic });
    return json.session.state;
  }

  /** Excerpts of the log and of answers that contain a secret. */
  leaks(): string[] {
    const texts = [...this.#log, ...this.answers];
    return [...this.secrets].flatMap((secret) =>
      texts
        .filter((text) => text.includes(secret))
        .map((text) => text.slice(Math.max(0, text.indexOf(secret) - 200)).slice(0, 300)),
    );
  }

  /** A call that must succeed, whose answer may contain secrets. */
  async #handOut(method: string, body: object, tenant = this.home): Promise<Answer["json"]> {
    const { status, text, json } = await this.call(method, body, { authorization: tenant.basic });
    this.answers.pop();
    if (status !== 200) throw new Error(`the answer is ${status}: ${text}`);
    return json;
  }
}

/** Starts a target for the tests of a file, with a second project. Vitest fails the run if an attack causes an uncaught error. */
export async function attackTarget(): Promise<Target & { readonly foreign: Tenant }> {
  const service = await runningService({
    projectId: "home",
    environment: {
      SESSIOND_SHUTDOWN_GRACE_MS: "0",
      // The limit would refuse most attacks before they reach their target.
    },
  });
  const target = new Target(service);
  return Object.assign(target, { foreign: await target.createTenant("foreign") });
}

/** The body, or the first chunk of a stream. */
async function textOf(response: Response): Promise<string> {
  const isStream = /ndjson|event-stream/.test(response.headers.get("content-type") ?? "");
  if (!isStream) return response.text();
  const reader = response.body?.getReader();
  const first = await reader?.read();
  await reader?.cancel();
  return new TextDecoder().decode(first?.value);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
