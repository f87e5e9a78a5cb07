import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Logger } from "pino";
import { Registry } from "prom-client";
import { describeFault } from "./call-log.ts";
import type { Config } from "../config/config.ts";
import type { Running } from "../lifecycle.ts";

/** Where metrics are read, apart from the port that calls come to. */
export interface MetricsListener {
  readonly address: string;
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serves what `read` gives, in Prometheus' text format, at `GET /metrics`; 503 where it fails. Rejects if the address cannot
 * be bound. Port 0 takes a free one.
 */
export async function listenForMetrics(
  at: { readonly host: string; readonly port: number },
  read: () => Promise<string>,
  onError: (error: unknown) => void,
): Promise<MetricsListener> {
  const server = createServer((request, response) => {
    // Nobody sends a body with a reason; what is sent is thrown away.
    request.resume();
    const [path] = (request.url ?? "").split("?", 1);
    if (path !== "/metrics") {
      response.writeHead(404).end("metrics are at /metrics\n");
    } else if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { allow: "GET, HEAD" }).end();
    } else {
      read().then(
        (text) => response.writeHead(200, { "content-type": Registry.PROMETHEUS_CONTENT_TYPE }).end(text),
        (error: unknown) => {
          onError(error);
          response.writeHead(503).end("the metrics cannot be read now\n");
        },
      );
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(at, () => {
      server.off("error", reject).on("error", onError);
      resolve();
    });
  });
  // A TCP server that listens has an address with a port.
  const { address, port } = server.address() as AddressInfo;
  return { address, port, close: () => closeNow(server) };
}

/**
 * Shows metrics where the configuration says, until everything else that runs has stopped: what goes on in a drain is worth
 * seeing. Undefined where it says nowhere.
 */
export async function showMetrics(
  { metricsListen }: Pick<Config, "metricsListen">,
  read: () => Promise<string>,
  log: Logger,
  running: Running,
): Promise<MetricsListener | undefined> {
  if (metricsListen === undefined) return undefined;
  const onError = (error: unknown) => log.warn({ fault: describeFault(error) }, "metrics not shown");
  const listener = await listenForMetrics(metricsListen, read, onError);
  running.defer(() => listener.close());
  log.info({ address: listener.address, port: listener.port }, "metrics are shown");
  return listener;
}

/** Whoever is reading them reads to the end of the answer; a scraper that only keeps its connection is not waited for. */
function closeNow(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}
