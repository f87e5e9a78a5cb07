import { once } from "node:events";
import { type AddressInfo, type Socket, connect, createServer } from "node:net";

/** A TCP proxy that delivers each byte some time later, as a longer way would. It limits no throughput. */
export class Distance {
  /** Milliseconds in each direction. */
  oneWayMs = 0;
  readonly port: number;

  private constructor(port: number) {
    this.port = port;
  }

  static async to(port: number, started: AsyncDisposableStack): Promise<Distance> {
    const sockets = new Set<Socket>();
    const server = createServer((near) => {
      const far = connect(port, "127.0.0.1");
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        sockets.add(from);
        from.setNoDelay().on("error", () => to.destroy());
        from.on("data", (chunk) => setTimeout(() => to.write(chunk), distance.oneWayMs));
        from.on("close", () => {
          sockets.delete(from);
          to.destroy();
        });
      }
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const distance = new Distance((server.address() as AddressInfo).port);
    started.defer(async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    return distance;
  }
}
