import { connect } from "node:http2";
import { callsOf } from "./calls.ts";
import type { Job } from "./job.ts";

/** Makes the first call of a job with Node's own clients. Returns the size of the answer; rejects unless it is correct. */
export async function selfCheck(job: Job): Promise<number> {
  const call = callsOf(job)();
  if (call === undefined) throw new Error("the job has no call");
  const headers = { ...job.headers, ...call.headers };
  const { ok, body } = await (job.protocol === "http1" ? overHttp1 : overHttp2)(job, headers, call.body);
  if (!ok || !body.includes(job.expect, 0, "latin1")) {
    throw new Error(`${job.url}${job.path} answers incorrectly: ${body.toString("latin1")}`);
  }
  return body.length;
}

interface Answer {
  readonly ok: boolean;
  readonly body: Buffer;
}

async function overHttp2(job: Job, headers: Job["headers"], body: Buffer): Promise<Answer> {
  const isGrpc = job.protocol === "grpc";
  const session = connect(job.url);
  try {
    const stream = session.request({
      ":method": job.method,
      ":path": job.path,
      ...(isGrpc ? { "content-type": "application/grpc+proto", te: "trailers" } : {}),
      ...headers,
    });
    let ok = false;
    stream.on("response", (head) => (ok = !isGrpc && head[":status"] === 200));
    stream.on("trailers", (trailers) => (ok = trailers["grpc-status"] === "0"));
    stream.end(body);
    const chunks: Buffer[] = await stream.toArray();
    return { ok, body: Buffer.concat(chunks) };
  } finally {
    session.destroy();
  }
}

async function overHttp1({ url, path, method }: Job, headers: Job["headers"], body: Buffer): Promise<Answer> {
  const answer = await fetch(url + path, {
    method,
    headers: { ...headers, connection: "close" },
    ...(method === "GET" ? {} : { body: new Uint8Array(body) }),
  });
  return { ok: answer.status === 200, body: Buffer.from(await answer.arrayBuffer()) };
}
