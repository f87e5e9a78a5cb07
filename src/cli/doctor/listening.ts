import { type IncomingMessage, get as getHttp } from "node:http";
import { get as getHttps } from "node:https";
import { createServer } from "node:net";
import { json } from "node:stream/consumers";
import type { Config } from "../../server/config/config.ts";
import { inWords } from "../output/in-words.ts";
import { type Finding, findingsOf } from "./finding.ts";

const { ok, warn, fail } = findingsOf("listen-address");

/** Milliseconds that whoever listens there has to answer. */
const patience = 3_000;

type ListenConfig = Pick<Config, "listen" | "tls">;

/** Whether the service could listen where it is to, or does already. */
export async function checkListening(config: ListenConfig): Promise<Finding> {
  const { host, port } = config.listen;
  const address = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  if (port === 0) return ok("any free port");
  const error = await tryListening(host, port);
  if (error === undefined) return ok(`${address} is free`);
  if (!("code" in error) || error.code !== "EADDRINUSE") {
    return fail(`nothing can listen on ${address}: ${inWords(error)}`, "choose another SESSIOND_LISTEN");
  }
  const health = await healthAt(config);
  if (health === "SERVING") return ok(`sessiond serves on ${address}`);
  if (health === "NOT_SERVING") {
    return warn(`sessiond on ${address} does not serve now`, "see whether its database answers, in its log");
  }
  return fail(`${address} is taken by something else`, "stop that, or choose another SESSIOND_LISTEN");
}

async function tryListening(host: string, port: number): Promise<Error | undefined> {
  const server = createServer();
  const error = await new Promise<Error | undefined>((resolve) => {
    server.once("error", resolve).once("listening", () => resolve(undefined));
    server.listen({ host, port, exclusive: true });
  });
  server.close();
  return error;
}

/** What `/healthz` says there; undefined where it is no sessiond that answers. */
async function healthAt({ listen: { host, port }, tls }: ListenConfig): Promise<string | undefined> {
  const nearby: Readonly<Record<string, string>> = { "::": "::1", "0.0.0.0": "127.0.0.1" };
  const options = {
    host: nearby[host] ?? host,
    port,
    path: "/healthz",
    signal: AbortSignal.timeout(patience),
    agent: false,
    // It is asked nothing but this, and its certificate need not name this address.
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
    // Whatever it is, it is not ours.
  }
  return undefined;
}
