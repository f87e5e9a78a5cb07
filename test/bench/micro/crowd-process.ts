// Many watchers, each on a connection of its own. Reports over IPC when the last one has received a revocation. They decode
// nothing, to leave the machine to what is measured.
import { type ClientHttp2Stream, connect } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { WatchRevocationsRequestSchema } from "../../../gen/session/v1/session_service_pb.ts";
import { envelope } from "../../support/fixtures/http2-bytes.ts";
import { monotonic } from "../../resilience/chaos/history.ts";

const [url = "", authorization = "", size = "0"] = process.argv.slice(2);
const crowd = Number(size);
/** Heartbeats are shorter, revocations longer. In bytes. */
const shortest = 60;

const request = toBinary(WatchRevocationsRequestSchema, create(WatchRevocationsRequestSchema));
const frame = envelope(request);

let heard = 0;

function receive(bytes: number): void {
  if (bytes < shortest) return;
  heard++;
  if (heard === crowd) {
    heard = 0;
    process.send?.({ at: monotonic() });
  }
}

/** Resolves after the first message: then the server knows the watcher. */
async function watch(): Promise<void> {
  const session = connect(url);
  const stream: ClientHttp2Stream = session.request({
    ":method": "POST",
    ":path": "/session.v1.SessionService/WatchRevocations",
    "content-type": "application/grpc+proto",
    te: "trailers",
    authorization,
  });
  stream.end(frame);
  const ended = () => process.exit(1);
  stream.on("error", ended).on("end", ended);
  await new Promise((resolve) => stream.once("data", resolve));
  stream.on("data", (data: Buffer) => receive(data.length));
}

for (let begun = 0; begun < crowd; begun += 50) {
  await Promise.all(Array.from({ length: Math.min(50, crowd - begun) }, watch));
}
process.send?.({ ready: true });
