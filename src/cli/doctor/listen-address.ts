import { type IncomingMessage, get as getHttp } from "node:http";
import { get as getHttps } from "node:https";
import { createServer } from "node:net";
import { json } from "node:stream/consumers";
import type { Config } from "../../server/config/config.ts";
import { errorText } from "../output/failure.ts";
import { type Finding, findingsOf } from "./finding.ts";

const { ok, warn, fail } = findingsOf("listen-address");

/** Bound on the health check of the process that listens there. */
const healthTimeoutMs = 3_000;

type ListenConfig = Pick<Config, "listen" | "tls">;

/** Whether the service can listen on its address, or already does. */
export async function checkListenAddress(config: ListenConfig): Promise<Finding> {
  const { host = "", port } = config.listen;
  const address = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  if (port === 0) return ok("any free port");
  const error = await tryListen(config.listen);
  if (error === undefined) return ok(`${address} is free`);
  if (!("code" in error) || error.code !== "EADDRINUSE") {
    return fail(`cannot listen on ${address}: ${errorText(error)}`, "set another SESSIOND_LISTEN");
  }
  const health = await readHealth(config);
  if (health === "SERVING") return ok(`sessiond serves on ${address}`);
  if (health === "NOT_SERVING") {
    return warn(`sessiond on ${address} is not serving`, "check in its log whether its database answers");
  }
  return fail(`${address} is in use by another program`, "stop that, or set another SESSIOND_LISTEN");
}

async function tryListen({ host, port }: Config["listen"]): Promise<Error | undefined> {
  const server = createServer();
  const error = await new Promise<Error | undefined>((resolve) => {
    server.once("error", resolve).once("listening", () => resolve(undefined));
    server.listen({ host, port, exclusive: true });
  });
  server.close();
  return error;
}

/** The status in the answer of `/healthz`. Undefined if it is not sessiond that answers. */
async function readHealth({ listen: { host, port }, tls }: ListenConfig): Promise<string | undefined> {
  const options = {
    // Every address includes this one, also if it is `[::]`: sockets of Node.js accept IPv4 on it.
    host: host === undefined || ["::", "0.0.0.0"].includes(host) ? "127.0.0.1" : host,
    port,
    path: "/healthz",
    signal: AbortSignal.timeout(healthTimeoutMs),
    agent: false,
    // The certificate need not be for this address, and the request has no secret.
    rejectUnauthorized: false,
  };
  try {
    const get = tls === undefined ? getHttp : getHttps;
    const answer = await new Promise<IncomingMessage>((resolve, reject) =>
      get(options, resolve).on("error", reject),
    );
    const body: unknown = await json(answer);
    if (typeof body === "object" && body !== null && "status" in body) return String(body.status);
  } catch {
    // Another program.
  }
  return undefined;
}
