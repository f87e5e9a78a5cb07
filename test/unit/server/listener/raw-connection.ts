import { type Socket, connect } from "node:net";
import { onTestFinished } from "vitest";

/** A TCP connection that sends exactly what a test says. */
export interface RawConnection {
  readonly socket: Socket;
  write(bytes: string | Uint8Array): void;
  /** Resolves once the text received so far matches; rejects if the connection closes before. */
  received(pattern: RegExp): Promise<string>;
  /** Everything received, when the connection is closed, by a reset too. */
  readonly closed: Promise<string>;
}

/** Connects to a port of the loopback; closed at the end of the test at the latest. */
export async function openRaw(port: number, allowHalfOpen = false): Promise<RawConnection> {
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen });
  onTestFinished(() => void socket.destroy());
  let text = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    text += chunk;
  });
  const closed = new Promise<string>((resolve) => {
    socket.once("close", () => resolve(text));
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve).once("error", reject);
  });
  socket.on("error", () => {});
  return {
    socket,
    write: (bytes) => void socket.write(bytes),
    closed,
    received: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!pattern.test(text)) return;
          socket.off("data", look);
          resolve(text);
        };
        socket.on("data", look);
        socket.once("close", () => reject(new Error(`closed before ${pattern} came, after: ${text}`)));
        look();
      }),
  };
}
