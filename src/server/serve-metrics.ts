import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Logger } from "pino";
import { Registry } from "prom-client";
import { pathOf } from "../transport/http-message.ts";
import type { Config } from "./config/config.ts";
import type { Cleanup } from "./lifecycle.ts";
import { describeFault } from "./observability/log.ts";

/**
 * Serves the result of `read`, in Prometheus' text format, at `GET /metrics` of the configured address, if there is one, until
 * everything started later has stopped. Answers 503 if `read` fails. Port 0 takes a free port.
 */
export async function serveMetrics(
  { metricsListen }: Pick<Config, "metricsListen">,
  read: () => Promise<string>,
  log: Logger,
  cleanup: Cleanup,
): Promise<Pick<AddressInfo, "address" | "port"> | undefined> {
  if (metricsListen === undefined) return undefined;
  const onError = (error: unknown) => log.warn({ fault: describeFault(error) }, "metrics failed");
  const server = createServer((request, response) => {
    request.resume();
    if (pathOf(request.url ?? "") !== "/metrics") {
      response.writeHead(404).end("metrics are at /metrics\n");
    } else if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { allow: "GET, HEAD" }).end();
    } else {
      read().then(
        (text) => response.writeHead(200, { "content-type": Registry.PROMETHEUS_CONTENT_TYPE }).end(text),
        (error: unknown) => {
          onError(error);
          response.writeHead(503).end("the metrics cannot be read\n");
        },
      );
    }
  });
  await once(server.listen(metricsListen), "listening");
  server.on("error", onError);
  cleanup.defer(async () => {
    const closed = once(server, "close");
    server.close();
    server.closeIdleConnections();
    await closed;
  });
  const { address, port } = server.address() as AddressInfo;
  log.info({ address, port }, "serving metrics");
  return { address, port };
}
