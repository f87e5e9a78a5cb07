import { type MessageInitShape, create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { once } from "node:events";
import * as http from "node:http";
import * as http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { type HttpRule, HttpRuleSchema } from "../../../gen/google/api/http_pb.ts";
import type { Dialect } from "../../../src/rest/dialect.ts";
import type { HttpRequest, HttpResponse } from "../../../src/transport/http-message.ts";
import { Pipeline, type PipelineOptions } from "../../../src/transport/pipeline.ts";
import {
  type TranscodedService,
  type TranscoderOptions,
  createTranscoder,
  transcodedService,
} from "../../../src/rest/transcoder.ts";
import { http1Answer, http2Answer } from "../../support/fixtures/http-answer.ts";
import { BareService, ShelfService } from "./gen/shelf/v1/shelf_pb.ts";

export type ShelfImpl = Partial<ServiceImpl<typeof ShelfService>>;

/** Answers every call with its request. */
export const echo: ShelfImpl = {
  getBook: (book) => book,
  listBooks: (book) => book,
  getSpecial: (book) => ({ ...book, note: "special" }),
  createBook: (book) => book,
  updateBook: (book) => book,
  putPublisher: (book) => book,
  putTags: (book) => book,
  deleteBook: () => ({}),
  deleteBooks: (book) => book,
  revokeBook: (book) => book,
  getFile: (book) => ({ contentType: "text/plain", data: Buffer.from(book.name) }),
  putFile: (upload) => upload,
  echo: (body) => body,
  anyMethod: (book) => book,
};

/** Answers without default values. */
export const terse: Dialect = { write: {} };

export interface ShelfOptions extends Omit<TranscoderOptions, "services" | "pipeline">, PipelineOptions {
  readonly implementation?: ShelfImpl;
  readonly dialect?: Dialect;
  /** Served beside the ShelfService. */
  readonly more?: readonly TranscodedService[];
  /** Runs before the transcoder, as a server around it would. */
  readonly before?: (request: HttpRequest, response: HttpResponse) => void;
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  readonly bytes: Buffer;
}

export interface Ask {
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: string | Uint8Array;
}

export type Version = "HTTP/1.1" | "HTTP/2";
export const versions: readonly Version[] = ["HTTP/1.1", "HTTP/2"];

/** A transcoder behind an HTTP/1.1 and an HTTP/2 server on free ports of the loopback. */
export class ShelfServer implements AsyncDisposable {
  readonly h1: http.Server;
  readonly h2: http2.Http2Server;
  readonly #sessions = new Set<http2.ServerHttp2Session>();
  #client: http2.ClientHttp2Session | undefined;

  private constructor(options: ShelfOptions) {
    const { implementation = echo, dialect = terse, more = [], before, ...rest } = options;
    const services = [transcodedService(ShelfService, implementation, dialect), ...more];
    const transcoder = createTranscoder({ ...rest, pipeline: new Pipeline(rest), services });
    const listener = (request: HttpRequest, response: HttpResponse): void => {
      before?.(request, response);
      void transcoder.handle(request, response);
    };
    this.h1 = http.createServer(listener);
    this.h2 = http2.createServer(listener);
    this.h2.on("session", (session) => {
      this.#sessions.add(session);
      session.once("close", () => this.#sessions.delete(session));
    });
  }

  static async start(options: ShelfOptions = {}): Promise<ShelfServer> {
    const server = new ShelfServer(options);
    await Promise.all([server.h1, server.h2].map((one) => once(one.listen(0, "127.0.0.1"), "listening")));
    return server;
  }

  get h1Port(): number {
    return (this.h1.address() as AddressInfo).port;
  }

  /** One long-lived connection; tests may open streams of their own on it. */
  get h2Client(): http2.ClientHttp2Session {
    this.#client ??= http2.connect(`http://127.0.0.1:${(this.h2.address() as AddressInfo).port}`);
    return this.#client;
  }

  /** Sends the path unchanged, not through a URL parser. */
  async ask(method: string, path: string, ask: Ask = {}, version: Version = "HTTP/1.1"): Promise<Answer> {
    const { headers = {}, body } = ask;
    const isFramed = body === undefined || "transfer-encoding" in headers;
    const length = isFramed ? {} : { "content-length": Buffer.byteLength(body) };
    const framed = { ...length, ...headers };
    const answer = await (version === "HTTP/1.1"
      ? this.#askH1(method, path, framed, body)
      : this.#askH2(method, path, framed, body));
    return { ...answer, text: answer.body.toString(), bytes: answer.body };
  }

  /** The JSON of a 200 answer. */
  async json(method: string, path: string, ask: Ask = {}): Promise<unknown> {
    const answer = await this.ask(method, path, ask);
    if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
    return JSON.parse(answer.text);
  }

  #askH1(method: string, path: string, headers: http.OutgoingHttpHeaders, body: Ask["body"]) {
    const request = http.request({ port: this.h1Port, method, path, headers, agent: false });
    request.end(body);
    return http1Answer(request);
  }

  #askH2(method: string, path: string, headers: http.OutgoingHttpHeaders, body: Ask["body"]) {
    const head = { ":method": method, ":path": path, ...headers };
    const stream = this.h2Client.request(head, { endStream: false });
    stream.end(body);
    return http2Answer(stream);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client?.destroy();
    this.h1.closeAllConnections();
    for (const session of this.#sessions) session.destroy();
    const closed = [once(this.h1, "close"), once(this.h2, "close")];
    this.h1.close();
    this.h2.close();
    await Promise.all(closed);
  }
}

/** Builds a transcoder for BareService, whose methods have only the given rules. */
export function bare(
  rules: readonly MessageInitShape<typeof HttpRuleSchema>[],
  options: Omit<TranscoderOptions, "services"> = {},
): ReturnType<typeof createTranscoder> {
  return createTranscoder({
    ...options,
    services: [transcodedService(BareService, { unary: (book) => book })],
    rules: rules.map((rule): HttpRule =>
      create(HttpRuleSchema, { selector: "shelf.v1.BareService.Unary", ...rule }),
    ),
  });
}
