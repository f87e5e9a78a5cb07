import { createServer } from "node:net";
import type { Config } from "../../server/config.ts";
import { inWords } from "../in-words.ts";
import { type Finding, findingsOf } from "./finding.ts";

const { ok, warn, fail } = findingsOf("listen-address");

/** Milliseconds that whoever listens there has to answer. */
const patience = 3_000;

/** Whether the service could listen where it is to, or does already. */
export async function checkListening({ listen: { host, port } }: Pick<Config, "listen">): Promise<Finding> {
  const address = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  if (port === 0) return ok("any free port");
  const error = await tryListening(host, port);
  if (error === undefined) return ok(`${address} is free`);
  if (!("code" in error) || error.code !== "EADDRINUSE")
    return fail(`nothing can listen on ${address}: ${inWords(error)}`, "choose another SESSIOND_LISTEN");
  const health = await healthAt(host, port);
  if (health === "SERVING") return ok(`sessiond serves on ${address}`);
  if (health === "NOT_SERVING")
    return warn(`sessiond on ${address} does not serve now`, "see whether its database answers, in its log");
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
async function healthAt(host: string, port: number): Promise<string | undefined> {
  const near =
    host === "::" ? "[::1]" : host === "0.0.0.0" ? "127.0.0.1" : host.includes(":") ? `[${host}]` : host;
  try {
    const answer = await fetch(`http://${near}:${port}/healthz`, { signal: AbortSignal.timeout(patience) });
    const body: unknown = await answer.json();
    if (typeof body === "object" && body !== null && "status" in body) return String(body.status);
  } catch {
    // Whatever it is, it is not ours.
  }
  return undefined;
}
