import { type ClientHttp2Session, type IncomingHttpHeaders, connect } from "node:http2";
import fc from "fast-check";
import type { ServerProcess } from "../../support/process/server-process.ts";
import { type Headers, anyCredentials } from "./credentials.ts";
import { type EnvelopeFault, anyEnvelopeFault, enveloped } from "./envelope.ts";
import {
  type Prey,
  type Tally,
  type World,
  complaintAbout,
  count,
  faultCodes,
  headerText,
  newWorld,
} from "./lane.ts";
import { anyMessage, jsonBytes, protoBytes } from "./messages.ts";
import { Pipeline } from "./pipeline.ts";
import { allRpcMethods, nameOf } from "../hostile/surface.ts";
import type { Values } from "./texts.ts";

/** A gRPC call before placeholders are filled in. */
interface FuzzCall {
  readonly name: string;
  readonly isStream: boolean;
  readonly format: "json" | "proto";
  readonly bytes: (values: Values) => Buffer;
  readonly frame: EnvelopeFault;
  readonly credentials: Headers;
}

const anyCall: fc.Arbitrary<FuzzCall> = fc.oneof(
  ...allRpcMethods.map((method): fc.Arbitrary<FuzzCall> =>
    fc
      .record({
        format: fc.constantFrom("proto" as const, "proto" as const, "json" as const),
        message: anyMessage(method.input),
        frame: anyEnvelopeFault,
        credentials: anyCredentials,
      })
      .map(({ format, message, frame, credentials }) => ({
        name: nameOf(method),
        isStream: method.methodKind !== "unary",
        format,
        bytes: (values) => (format === "json" ? jsonBytes(message, values) : protoBytes(message, values)),
        frame,
        credentials,
      })),
  ),
);

/** Sends rounds of concurrent gRPC calls on one HTTP/2 connection. Rejects with the smallest failing round. */
export async function grpcLane(
  server: ServerProcess,
  prey: Prey,
  { seed, inputs }: { readonly seed: number; readonly inputs: number },
  tally: Tally,
): Promise<void> {
  const pipeline = new Pipeline(server.port);
  const session = connect(`http://127.0.0.1:${server.port}`);
  session.on("error", () => {});
  let round = 0;
  const property = fc.asyncProperty(
    fc.array(anyCall, { minLength: 1, maxLength: 12, size: "max" }),
    async (calls) => {
      const world = await newWorld(server, pipeline, prey, round++);
      await Promise.all(
        calls.map(async (call) => {
          const { code, text } = await send(session, server, call, world);
          count(tally, `grpc ${code}`);
          const isFault = !/^\d+$/.test(code) || faultCodes.includes(code);
          const complaint = complaintAbout({ isFault, isError: code !== "0" && !call.isStream, text }, world);
          if (complaint !== undefined) {
            throw new Error(
              `${call.name}: ${complaint}\n>>> ${call.bytes(world.values).toString("latin1").slice(0, 1000)}\n<<< ${text}`,
            );
          }
        }),
      );
    },
  );
  try {
    await fc.assert(property, { seed, numRuns: Math.ceil(inputs / 6.5), includeErrorInReport: true });
  } finally {
    pipeline.close();
    session.destroy();
  }
}

/** The code ("none" without an answer), and the answer as text. */
function send(
  session: ClientHttp2Session,
  server: ServerProcess,
  { name, isStream, format, bytes, frame, credentials }: FuzzCall,
  world: World,
): Promise<{ code: string; text: string }> {
  // Each name once: Node's client does not send some headers twice.
  const own = Object.fromEntries(
    credentials.map(([header, value]) => [header, headerText(value, server, world)]),
  );
  const stream = session.request({
    ":method": "POST",
    ":path": `/${name}`,
    te: "trailers",
    "content-type": `application/grpc+${format}`,
    ...(isStream && { "grpc-timeout": "30m" }),
    ...own,
  });
  return new Promise((resolve) => {
    const heads: IncomingHttpHeaders[] = [];
    const chunks: Buffer[] = [];
    stream
      .on("response", (headers) => heads.push(headers))
      .on("trailers", (trailers) => heads.push(trailers));
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", () => {});
    stream.on("close", () => {
      const code = heads.flatMap((head) => head["grpc-status"] ?? [])[0] ?? `none (${stream.rstCode})`;
      const text = JSON.stringify(heads) + Buffer.concat(chunks).toString("latin1");
      resolve({ code, text });
    });
    stream.end(enveloped(bytes(world.values), false, frame));
  });
}
