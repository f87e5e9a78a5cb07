/**
 * Cost of a REST call between the bound request message and the output message: called directly, as src/rest does, and through
 * the UniversalHandler of a ConnectRouter with application/proto bodies. Both run the same interceptor in one process, in
 * alternating rounds. Run: node test/bench/micro/rest-dispatch.ts
 */
import { type Message, create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type Interceptor,
  createConnectRouter,
  createContextValues,
  createServiceImplSpec,
} from "@connectrpc/connect";
import { Call } from "../../../src/transport/call.ts";
import { Pipeline } from "../../../src/transport/pipeline.ts";
import { maxTimerMs } from "../../../src/transport/deadline.ts";
import { median } from "../figures.ts";
import { type Book, BookSchema, ShelfService } from "../../unit/rest/gen/shelf/v1/shelf_pb.ts";

const rounds = 15;
const callsPerRound = 5000;

const implementation = { getBook: (book: Book) => book };
const interceptor: Interceptor = (next) => (request) => next(request);
const input = create(BookSchema, { name: "n".repeat(36), tags: ["a", "b"], publisher: { name: "p" } });

const spec = createServiceImplSpec<typeof ShelfService>(ShelfService, implementation).methods["getBook"];
const pipeline = new Pipeline({ interceptors: [interceptor] });
const router = createConnectRouter({ interceptors: [interceptor] });
router.service(ShelfService, implementation);
const handler = router.handlers.find(({ method }) => method.name === "GetBook");
if (spec?.kind !== "unary" || handler === undefined) throw new Error("no method GetBook");

async function direct(): Promise<Message> {
  const call = new Call({
    method: unary.method,
    protocolName: "rest",
    requestMethod: "GET",
    target: "/v1/books/n",
    headers: { accept: "application/json", "x-request-id": "r" },
    values: createContextValues(),
    maxTimeoutMs: maxTimerMs,
    malformedTimeout: (name) => new Error(name),
  });
  const output = await pipeline.perform({
    call,
    handle: pipeline.handlerOf(unary),
    receive: async () => input,
  });
  call.abort();
  if (output === undefined) throw new Error("there is no output");
  return output;
}

async function universal(): Promise<Message> {
  const answer = await invoke({
    httpVersion: "1.1",
    method: "POST",
    url: "http://localhost/shelf.v1.ShelfService/GetBook",
    header: new Headers({
      accept: "application/json",
      "x-request-id": "r",
      "content-type": "application/proto",
    }),
    body: one(toBinary(BookSchema, input)),
    signal: new AbortController().signal,
    contextValues: createContextValues(),
  });
  const chunks: Uint8Array[] = [];
  for await (const chunk of answer.body ?? []) {
    chunks.push(chunk);
  }
  return fromBinary(BookSchema, Buffer.concat(chunks));
}

const unary = spec;
const invoke = handler;

async function* one(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}

async function microsecondsPerCall(run: () => Promise<Message>): Promise<number> {
  const start = process.hrtime.bigint();
  for (let i = 0; i < callsPerRound; i++) await run();
  return Number(process.hrtime.bigint() - start) / 1000 / callsPerRound;
}

const times = { direct: [] as number[], universal: [] as number[] };
for (let round = 0; round < rounds; round++) {
  times.direct.push(await microsecondsPerCall(direct));
  times.universal.push(await microsecondsPerCall(universal));
}
const [a, b] = [median(times.direct), median(times.universal)];
console.log(`direct ${a.toFixed(1)} us, universal ${b.toFixed(1)} us, ratio ${(b / a).toFixed(2)}`);
