import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type SecureClientSessionOptions,
  connect as connectHttp2,
} from "node:http2";
import type { Writable } from "node:stream";
import { onTestFinished } from "vitest";
import type { HttpResponse } from "../../../../src/transport/http-message.ts";
import {
  type Listener,
  type ListenerOptions,
  createListener,
} from "../../../../src/server/listener/listener.ts";

/** Listens on a free port of the loopback until the test ends. Failures the test does not expect fail it. */
export async function listening(
  options: Partial<ListenerOptions> & Pick<ListenerOptions, "handler">,
): Promise<Listener & { port: number; url: string }> {
  const failures: unknown[] = [];
  const listener = createListener({ onError: (error) => failures.push(error), ...options });
  const { port } = await listener.listen({ host: "127.0.0.1", port: 0 });
  onTestFinished(async () => {
    await listener.drain(0);
    if (failures.length > 0) throw new AggregateError(failures, "the listener reported failures");
  });
  return { ...listener, port, url: `${options.tls === undefined ? "http" : "https"}://127.0.0.1:${port}` };
}

/** An HTTP/2 session that is destroyed when the test ends. */
export function openSession(url: string, options: SecureClientSessionOptions = {}): ClientHttp2Session {
  const session = connectHttp2(url, options);
  onTestFinished(() => session.destroy());
  return session.on("error", () => {});
}

/** Discards the answer of a stream; resolves with its reset code when it has closed. */
export function closeCode(stream: ClientHttp2Stream): Promise<number | undefined> {
  stream.on("error", () => {}).resume();
  return new Promise((resolve) => stream.once("close", () => resolve(stream.rstCode)));
}

/** Writes a piece of an answer; resolves when Node has sent it. */
export function write(res: HttpResponse, body: string): Promise<unknown> {
  return new Promise((sent) => (res as Writable).write(body, sent));
}
