import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../../../../src/embedded-postgres/supervisor.ts";
import type { PatroniNode } from "./patroni.ts";
import type { Place } from "./place.ts";
import { Program } from "./program.ts";

export const haproxyPackage = "haproxy";

/** Starts HAProxy, which sends connections to the node that says it is the primary and cuts those to others. Returns its port. */
export async function startHaproxy(
  place: Place,
  nodes: readonly PatroniNode[],
  started: AsyncDisposableStack,
): Promise<number> {
  const port = await freePort();
  const file = join(place.directory, `haproxy-${port}.cfg`);
  const lines = [
    "global",
    "  maxconn 1000",
    "defaults",
    "  mode tcp",
    "  timeout connect 2s",
    "  timeout client 30m",
    "  timeout server 30m",
    "  timeout check 2s",
    "listen postgres",
    `  bind 127.0.0.1:${port}`,
    "  option httpchk OPTIONS /primary",
    "  http-check expect status 200",
    "  default-server inter 1s fall 3 rise 2 on-marked-down shutdown-sessions",
    ...nodes.map(({ name, port, restPort }) => `  server ${name} 127.0.0.1:${port} check port ${restPort}`),
  ];
  await writeFile(file, `${lines.join("\n")}\n`);
  const program = new Program(place, "/usr/sbin/haproxy", ["-db", "-f", file]);
  started.defer(() => program.kill());
  await program.listensOn(port);
  return port;
}
