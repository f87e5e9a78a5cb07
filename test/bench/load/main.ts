// node test/bench/load/main.ts --url http://127.0.0.1:8080 --path /pkg.Svc/Method --body-hex 00...
// Puts one kind of call on a server and prints what came of it, as JSON. Its options are those of a job (job.ts).
import { parseArgs } from "node:util";
import { cpuTime } from "../cpu-time.ts";
import { generate } from "./generator.ts";
import type { Job } from "./job.ts";

const { values } = parseArgs({
  options: {
    url: { type: "string" },
    protocol: { type: "string", default: "grpc" }, // or http1
    path: { type: "string", default: "/shelf.v1.ShelfService/GetBook" },
    method: { type: "string", default: "POST" },
    header: { type: "string", short: "H", multiple: true, default: [] },
    connections: { type: "string", default: "8" },
    streams: { type: "string", default: "16" },
    seconds: { type: "string", default: "3" },
    calls: { type: "string" }, // instead of seconds
    "warm-up": { type: "string", default: "1" }, // seconds
    body: { type: "string" }, // text
    "body-hex": { type: "string" }, // for gRPC with the five bytes before the message; the no-op's request by default
    expect: { type: "string" },
    "number-at": { type: "string" }, // offset of twelve hexadecimal digits that differ in each call
    "number-first": { type: "string", default: "0" },
    "number-count": { type: "string", default: "1000000" },
    "number-skip": { type: "string", default: "0" },
    once: { type: "boolean", default: false }, // no number twice
    pid: { type: "string" }, // of the server: its CPU time for each call is printed too
  },
});

if (values.url === undefined) throw new Error("--url http://127.0.0.1:PORT is missing");
const noOp = `00000000260a24${"72".repeat(36)}`;
const body =
  values.body === undefined ? Buffer.from(values["body-hex"] ?? noOp, "hex") : Buffer.from(values.body);
const job: Job = {
  url: values.url,
  protocol: values.protocol === "http1" ? "http1" : "grpc",
  connections: Number(values.connections),
  streams: values.protocol === "http1" ? 1 : Number(values.streams),
  path: values.path,
  method: values.method === "GET" ? "GET" : "POST",
  headers: Object.fromEntries(
    values.header.map((line) => [line.replace(/:.*$/s, "").toLowerCase(), line.replace(/^[^:]*: */, "")]),
  ),
  body: body.toString("base64"),
  ...(values["number-at"] === undefined
    ? {}
    : {
        vary: {
          kind: "numbers",
          at: Number(values["number-at"]),
          first: Number(values["number-first"]),
          count: Number(values["number-count"]),
          skip: Number(values["number-skip"]),
          again: !values.once,
        },
      }),
  ...(values.expect === undefined ? {} : { expect: values.expect }),
  until: values.calls === undefined ? { seconds: Number(values.seconds) } : { calls: Number(values.calls) },
  warmUpSeconds: Number(values["warm-up"]),
};
const pid = values.pid === undefined ? undefined : Number(values.pid);
const before = pid === undefined ? undefined : cpuTime(pid);
const report = await generate(job);
const after = pid === undefined ? undefined : cpuTime(pid);
const microseconds =
  before === undefined || after === undefined
    ? {}
    : { serverMicrosecondsPerCall: (after - before) / report.made };
console.log(JSON.stringify({ ...report, ...microseconds }, null, 2));
