import {
  type Client,
  Code,
  ConnectError,
  type Interceptor,
  type Transport,
  createClient,
} from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { ProjectService } from "../../../gen/session/v1/project_service_pb.ts";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { errorInfoOf } from "../../../src/client/error-info.ts";

// Runs in the browser: what a page can do with the service, and what it learns.

export interface Given {
  /** URL of the service, on another origin than the page. */
  readonly url: string;
  readonly projectId: string;
  readonly authorization: string;
  /** A session, and the tokens of two members who may each make one call. */
  readonly sessionId: string;
  readonly restToken: string;
  readonly connectToken: string;
  /** A session of the member whose session token is in the cookie. */
  readonly cookieSessionId: string;
}

/** What each attempt returned, or why it failed. */
export async function attempts(given: Given): Promise<Record<string, string>> {
  const results: Record<string, string> = {};
  for (const [name, attempt] of Object.entries({ ...rpcAttempts(given), ...restAttempts(given) })) {
    results[name] = await attempt().catch(describe);
  }
  return results;
}

type Attempts = Record<string, () => Promise<string>>;

const unknownId = "01900000-0000-7000-8000-000000000000";

function rpcAttempts({ url: baseUrl, authorization, sessionId, connectToken, projectId }: Given): Attempts {
  const headers = { "x-request-id": "from-page", traceparent: `00-${"1".repeat(32)}-${"2".repeat(16)}-01` };
  const authorize: Interceptor = (next) => (request) => {
    if (!request.header.has("x-session-token")) request.header.set("authorization", authorization);
    return next(request);
  };
  const interceptors = [authorize];
  const transports = {
    "Connect JSON": createConnectTransport({ baseUrl, interceptors, defaultTimeoutMs: 20_000 }),
    "Connect binary": createConnectTransport({ baseUrl, interceptors, useBinaryFormat: true }),
    "Connect GET": createConnectTransport({ baseUrl, interceptors, useHttpGet: true }),
    "gRPC-Web": createGrpcWebTransport({ baseUrl, interceptors, defaultTimeoutMs: 20_000 }),
  };
  const found: Attempts = {};
  for (const [name, transport] of Object.entries<Transport>(transports)) {
    const sessions = createClient(SessionService, transport);
    found[name] = async () => {
      const { session } = await sessions.get({ id: sessionId }, { headers });
      return session?.id === sessionId ? "its session" : "another session";
    };
    found[`an error of ${name}`] = () => sessions.get({ id: unknownId }, { headers }).then(() => "no error");
    found[`a stream of ${name}`] = () => firstOf(sessions);
  }
  const limited = createClient(SessionService, transports["Connect JSON"]);
  const asMember = { headers: { "x-session-token": connectToken } };
  found["the rate limit of Connect"] = async () => {
    await limited.get({ id: sessionId }, asMember).catch(() => {});
    return limited.get({ id: sessionId }, asMember).then(() => "no error");
  };
  const anyone = createConnectTransport({ baseUrl, useHttpGet: true });
  found["the JWKS over Connect GET"] = async () => {
    const { keys } = await createClient(ProjectService, anyone).getJwks({ projectId }, { timeoutMs: 20_000 });
    return `${keys.length} key`;
  };
  return found;
}

async function firstOf(sessions: Client<typeof SessionService>): Promise<string> {
  for await (const { upToDate } of sessions.watchRevocations({})) return upToDate ? "a message" : "another";
  return "no message";
}

function restAttempts(given: Given): Attempts {
  const { url, authorization, sessionId, restToken, cookieSessionId, projectId } = given;
  const session = `${url}/session/v1/sessions/${sessionId}`;
  const rest = { authorization, "x-request-id": "from-page", "x-server-timeout": "20" };
  const json = { ...rest, "content-type": "application/json" };
  return {
    "REST GET": async () => answer(await fetch(session, { headers: rest })),
    "REST POST": async () => {
      const body = JSON.stringify({ memberId: "page" });
      return answer(await fetch(`${url}/session/v1/sessions`, { method: "POST", headers: json, body }));
    },
    "an error of REST": async () =>
      answer(await fetch(`${url}/session/v1/sessions/${unknownId}`, { headers: rest })),
    "an unknown path": async () => answer(await fetch(`${url}/nothing`)),
    "a wrong method": async () => answer(await fetch(`${url}/session/v1/sessions:revoke`, { headers: rest })),
    "no credential": async () => answer(await fetch(session)),
    "the rate limit of REST": async () => {
      const init = { headers: { "x-session-token": restToken } };
      await fetch(session, init);
      return answer(await fetch(session, init));
    },
    "server-sent events": async () => {
      const headers = { authorization, accept: "text/event-stream", "last-event-id": "" };
      const { body } = await fetch(`${url}/session/v1/revocations:watch`, { headers });
      const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
      const { value } = (await reader?.read()) ?? {};
      await reader?.cancel();
      return /^id: \S+\ndata: \{/.test(value ?? "") ? "an event" : `${value}`;
    },
    "the JWKS": async () => answer(await fetch(`${url}/session/v1/projects/${projectId}/jwks`)),
    "the JWKS of Stytch": async () => answer(await fetch(`${url}/v1/sessions/jwks/${projectId}`)),
    "Kratos with the cookie": async () => {
      const init = { method: "DELETE", credentials: "include" } as const;
      return answer(await fetch(`${url}/auth/sessions/${cookieSessionId}`, init));
    },
    "Kratos without a cookie": async () =>
      answer(
        await fetch(`${url}/auth/sessions/${cookieSessionId}`, { method: "DELETE", credentials: "omit" }),
      ),
    "REST with cookies": async () => answer(await fetch(session, { headers: rest, credentials: "include" })),
  };
}

/** Status, reason, and the headers that a page needs. */
async function answer(response: Response): Promise<string> {
  const text = await response.text();
  const reason = /"reason":"([A-Z_]+)"/.exec(text)?.[1];
  const shown = ["allow", "retry-after", "www-authenticate"].map((name) => {
    const value = response.headers.get(name);
    return value === null ? undefined : `${name}: ${value}`;
  });
  const id = response.headers.has("x-request-id") ? "with id" : "without id";
  return [response.status, reason, ...shown, id].filter((part) => part !== undefined).join(", ");
}

function describe(error: unknown): string {
  if (String(error).includes("Failed to fetch")) return "blocked";
  if (!(error instanceof ConnectError)) return String(error);
  const retryAfter = error.metadata.get("retry-after");
  return [
    Code[error.code],
    errorInfoOf(error)?.reason ?? error.rawMessage,
    ...(retryAfter === null ? [] : [`retry-after: ${retryAfter}`]),
    error.metadata.has("x-request-id") ? "with id" : "without id",
  ].join(", ");
}
