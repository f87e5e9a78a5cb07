import { type Socket, connect } from "node:net";
import { onTestFinished } from "vitest";
import { frame, headerBlock, preface, settings } from "../../../support/fixtures/http2-bytes.ts";

/** A TCP connection that sends exactly what a test says. */
export interface RawConnection {
  readonly socket: Socket;
  write(bytes: string | Uint8Array): void;
  /** Resolves once the text received so far matches; rejects if the connection closes before. */
  received(pattern: RegExp): Promise<string>;
  /** Everything received, when the connection is closed, by a reset too. */
  readonly closed: Promise<string>;
}

/** Connects to a port of the loopback and sends the first bytes; closed at the end of the test at the latest. */
export async function openRaw(
  port: number,
  first: string | Uint8Array = "",
  allowHalfOpen = false,
): Promise<RawConnection> {
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
  socket.on("error", () => {}).write(first);
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

/** The start of an HTTP/2 connection: preface, SETTINGS and these frames. */
export function http2Bytes(...frames: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from(preface), settings, ...frames]);
}

export const ping = frame(6, 0, 0, "pingpong");

/** A GET request on an HTTP/2 stream. */
export function getFrame(stream: number, path = "/"): Buffer {
  const headers = { ":method": "GET", ":path": path, ":scheme": "http", ":authority": "h" };
  return frame(1, 5, stream, headerBlock(headers));
}

/** The least of a GET request over HTTP/1.1. */
export const get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
