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
  runRounds,
} from "./lane.ts";
import { anyMessage, jsonBytes, protoBytes } from "./messages.ts";
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

/** Sends rounds of concurrent gRPC calls on one HTTP/2 connection. */
export async function grpcLane(
  server: ServerProcess,
  prey: Prey,
  options: { readonly seed: number; readonly inputs: number },
  tally: Tally,
): Promise<void> {
  const session = connect(`http://127.0.0.1:${server.port}`);
  session.on("error", () => {});
  const call = async (given: FuzzCall, world: World) => {
    const { code, text } = await send(session, server, given, world);
    count(tally, `grpc ${code}`);
    const isFault = !/^\d+$/.test(code) || faultCodes.includes(code);
    const complaint = complaintAbout({ isFault, isError: code !== "0" && !given.isStream, text }, world);
    if (complaint === undefined) return;
    const sent = given.bytes(world.values).toString("latin1").slice(0, 1000);
    throw new Error(`${given.name}: ${complaint}\n>>> ${sent}\n<<< ${text}`);
  };
  try {
    await runRounds(server, prey, anyCall, options, async (calls, world) => {
      await Promise.all(calls.map((given) => call(given, world)));
    });
  } finally {
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
