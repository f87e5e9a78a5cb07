import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";

/** A request of Node's HTTP/1.1 or HTTP/2 server. */
export type NodeRequest = IncomingMessage | Http2ServerRequest;

/** A response of Node's HTTP/1.1 or HTTP/2 server. */
export type NodeResponse = ServerResponse | Http2ServerResponse;

/** What the transcoder uses of a {@link NodeResponse}; the two have no callable type in common. */
export interface Outgoing {
  statusCode: number;
  readonly headersSent: boolean;
  readonly writableEnded: boolean;
  setHeader(name: string, value: string | readonly string[]): unknown;
  write(chunk: Uint8Array): boolean;
  end(): unknown;
  end(chunk: Uint8Array): unknown;
  end(chunk: string, encoding: "latin1"): unknown;
  destroy(): unknown;
  on(event: string, listener: () => void): unknown;
  off(event: string, listener: () => void): unknown;
}

/** The request target, split but not decoded. */
export interface Target {
  readonly path: string;
  readonly query: string;
}

/**
 * Splits a request target without a URL parser, which would resolve `..`, decode escapes and throw on a bad Host. The
 * absolute form that proxies use loses its origin.
 */
export function splitTarget(target: string): Target {
  const local = /^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(target)
    ? target.replace(/^[^:]*:\/\/[^/?]*/, "")
    : target;
  const question = local.indexOf("?");
  return question < 0
    ? { path: local, query: "" }
    : { path: local.slice(0, question), query: local.slice(question + 1) };
}

/** The one who waits for an answer, as far as the response shows. */
export class Client {
  /** Called when the client goes away before the answer is complete. */
  onGone: (() => void) | undefined;
  #gone = false;

  constructor(response: Outgoing) {
    // Node emits "close" after every answer.
    response.on("close", () => {
      if (!response.writableEnded) {
        this.#gone = true;
        this.onGone?.();
      }
    });
  }

  /** Whether the client went away before the answer was complete. */
  get isGone(): boolean {
    return this.#gone;
  }
}

/** Writes a chunk and waits until there is room for more, or the client is gone. */
export function writeChunk(response: Outgoing, chunk: Uint8Array, client: Client): Promise<void> {
  return new Promise((resolve) => {
    if (client.isGone || response.write(chunk)) {
      resolve();
      return;
    }
    const done = (): void => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.on("drain", done);
    response.on("close", done);
  });
}

/** Ends an answer in a way that no client takes for its regular end. */
export function cutOff(request: NodeRequest, response: Outgoing): void {
  if ("stream" in request) {
    // Not `stream.close(code)`: after two quick writes Node 24.21 was seen to spin in native code until memory ran out.
    request.stream.destroy(new Error("the answer was cut off"));
  } else {
    response.destroy();
  }
}
