import { type ServerHttp2Stream, constants } from "node:http2";
import type { Socket } from "node:net";
import type { Conversation } from "./slow-readers.ts";

/** The streams that an HTTP/2 connection has open. */
export class OpenStreams implements Conversation<ServerHttp2Stream> {
  readonly answers = new Set<ServerHttp2Stream>();
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Resets the stream; the connection goes on, unless its client does not even take that. */
  readonly giveUp = (stream: ServerHttp2Stream): void => {
    if (stream.closed) this.cut();
    else stream.close(constants.NGHTTP2_CANCEL);
  };

  readonly cut = (): void => void this.#socket.destroy();
}
