import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Registry } from "prom-client";
import { pathOf } from "../../transport/http-message.ts";

/** A listener for metrics, separate from the port of the service. */
export interface MetricsListener {
  readonly address: string;
  readonly port: number;
  /** Waits for answers that are being written, but not for idle connections. */
  close(): Promise<void>;
}

/** Serves the result of `read`, in Prometheus' text format, at `GET /metrics`, or 503 if it fails. Port 0 takes a free port. */
export async function listenForMetrics(
  at: { readonly host: string; readonly port: number },
  read: () => Promise<string>,
  onError: (error: unknown) => void,
): Promise<MetricsListener> {
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
  await once(server.listen(at), "listening");
  server.on("error", onError);
  const { address, port } = server.address() as AddressInfo;
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeIdleConnections();
    });
  return { address, port, close };
}
