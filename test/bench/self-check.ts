import { once } from "node:events";
import { connect } from "node:http2";
import { callSource } from "./load/call-source.ts";
import type { Job } from "./load/job.ts";

/** Makes the first call of a job with Node's own clients: what the generator counts as success must be one. */
export async function selfCheck(job: Job): Promise<void> {
  const what = `${job.url}${job.path}`;
  const body = callSource(job).nextBody() ?? Buffer.alloc(0);
  const answer = job.protocol === "grpc" ? await callGrpc(job, body) : await callHttp1(job, body);
  if (answer.outcome !== "ok") throw new Error(`${what} does not answer as it should: ${answer.outcome}`);
  if (job.expect !== undefined && !answer.body.includes(job.expect, 0, "latin1")) {
    throw new Error(`${what} does not answer with ${job.expect}: ${answer.body.toString("latin1")}`);
  }
}

async function callGrpc({ url, path, headers }: Job, body: Buffer) {
  const session = connect(url);
  try {
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc+proto",
      te: "trailers",
      ...headers,
    });
    let status: unknown;
    stream.on("response", (head) => (status ??= head["grpc-status"]));
    stream.on("trailers", (trailers) => (status ??= trailers["grpc-status"]));
    stream.end(body);
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    await once(stream, "end");
    return { outcome: status === "0" ? "ok" : `grpc-status ${String(status)}`, body: Buffer.concat(chunks) };
  } finally {
    session.destroy();
  }
}

async function callHttp1({ url, path, method = "POST", headers }: Job, body: Buffer) {
  const answer = await fetch(url + path, {
    method,
    headers: { ...headers, connection: "close" },
    ...(method === "GET" ? {} : { body: new Uint8Array(body) }),
  });
  const bytes = Buffer.from(await answer.arrayBuffer());
  return { outcome: answer.status === 200 ? "ok" : `HTTP ${answer.status} ${bytes.toString()}`, body: bytes };
}
