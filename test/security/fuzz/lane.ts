import fc from "fast-check";
import type { ServerProcess } from "../../support/process/server-process.ts";
import { type Answer, Pipeline, type WireRequest } from "./pipeline.ts";
import type { FuzzRequest } from "./http-requests.ts";
import type { Values } from "./texts.ts";

/** Ids and secrets of one round of requests. */
export interface World {
  readonly values: Values;
  readonly guarded: { readonly token: string; readonly jwt: string };
  /** Must not be in errors. */
  readonly known: readonly string[];
  /** Must not be in any answer. */
  readonly secrets: readonly string[];
}

/** A session of a second project. */
export interface Prey {
  readonly id: string;
  readonly token: string;
  readonly jwt: string;
}

/** Creates two sessions in the operator's project. Rejects if the service fails. */
async function newWorld(
  server: ServerProcess,
  pipeline: Pipeline,
  prey: Prey,
  round: number,
): Promise<World> {
  const message = { memberId: `alice-${round % 97}` };
  const bytes = post("/session.v1.SessionService/Create", server.basic, message);
  const request = { isHead: false, bytes };
  const sessions = (await pipeline.send([request, request])).map((answer) => {
    if (answer.status !== 200) {
      throw new Error(`no session: ${answer.status} ${answer.body.toString()}`);
    }
    return JSON.parse(answer.body.toString());
  });
  const [one, other] = sessions;
  return {
    values: {
      id: one.session.id,
      token: one.token,
      jwt: one.jwt,
      "foreign-id": prey.id,
      "foreign-token": prey.token,
      "foreign-jwt": prey.jwt,
      page: "AAAA",
    },
    guarded: { token: other.token, jwt: other.jwt },
    known: [one.token, one.jwt, prey.token, prey.jwt],
    secrets: [other.token, other.jwt, server.secret, server.basic.slice("Basic ".length)],
  };
}

/** A Connect call with JSON, as bytes of HTTP/1.1. */
export function post(path: string, basic: string, message: object): Buffer {
  const body = JSON.stringify(message);
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nHost: h\r\nAuthorization: ${basic}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
}

/** Replaces placeholders, and bytes that a header cannot have. */
export function headerText(text: string, server: ServerProcess, { guarded, values }: World): string {
  return text
    .replaceAll("@service@", server.basic)
    .replaceAll("@guarded-token@", guarded.token)
    .replaceAll("@guarded-jwt@", guarded.jwt)
    .replaceAll(/@([a-z-]+)@/g, (whole, name: keyof Values) => values[name] ?? whole)
    .replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, "?")
    .slice(0, 6000);
}

/** Describes the fault of an answer; undefined if it has none. */
export function complaintAbout(
  answer: { readonly isFault: boolean; readonly isError: boolean; readonly text: string },
  { known, secrets }: World,
): string | undefined {
  if (answer.isFault) return "the answer blames the service";
  const leaks = answer.isError ? [...secrets, ...known] : secrets;
  return leaks.some((secret) => answer.text.includes(secret)) ? "a secret is in the answer" : undefined;
}

function toWire(request: FuzzRequest, server: ServerProcess, world: World): WireRequest {
  // Invalid bytes in the request line would end the connection and lose the requests behind it.
  const target = request
    .target(world.values)
    .replaceAll(
      /[^\x21-\x7e]|#/g,
      (letter) => `%${(letter.charCodeAt(0) & 0xff).toString(16).padStart(2, "0")}`,
    )
    .slice(0, 9000);
  const headers = request.headers.map(([name, value]) => `${name}: ${headerText(value, server, world)}\r\n`);
  const body = request.body?.(world.values) ?? Buffer.alloc(0);
  const isChunked = request.isChunked && body.length > 0;
  const length = isChunked ? "transfer-encoding: chunked" : `content-length: ${body.length}`;
  const head = `${request.verb} ${target} HTTP/1.1\r\nhost: h\r\n${headers.join("")}${length}\r\n\r\n`;
  const framed = isChunked
    ? [Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from("\r\n0\r\n\r\n")]
    : [body];
  return { isHead: request.verb === "HEAD", bytes: Buffer.concat([Buffer.from(head, "latin1"), ...framed]) };
}

/** gRPC codes that blame the service: UNKNOWN, INTERNAL, UNAVAILABLE, DATA_LOSS. */
export const faultCodes: readonly string[] = ["2", "13", "14", "15"];

function verdict({ status, headers, head, body }: Answer, { aim, mayTimeOut }: FuzzRequest) {
  const text = `${head}${body.toString("latin1")}`;
  const code = headers.get("grpc-status") ?? /grpc-status: *(\d+)/.exec(text)?.[1];
  // Compat APIs answer 500 at the deadline too.
  const isTimeout = mayTimeOut && (status === 504 || (status === 500 && !aim.includes(" /session/v1/")));
  // The answer of Connect to an unknown compression.
  const isUnknownEncoding = status === 501 && text.includes("unknown compression");
  const isAllowed = isTimeout || isUnknownEncoding;
  const isFault = (status >= 500 && !isAllowed) || (code !== undefined && faultCodes.includes(code));
  // Before its deadline a stream may have sent stored texts, such as a token in place of a member id.
  return { isFault, isError: status >= 400 || (code !== undefined && code !== "0" && !mayTimeOut), text };
}

export interface Tally {
  inputs: number;
  /** Number of answers by HTTP status or gRPC code. */
  readonly outcomes: Map<string, number>;
}

export function count(tally: Tally, outcome: string): void {
  tally.inputs++;
  tally.outcomes.set(outcome, (tally.outcomes.get(outcome) ?? 0) + 1);
}

/** Runs rounds of up to twelve inputs, `inputs` in all. Rejects with the smallest failing round. */
export async function runRounds<Input>(
  server: ServerProcess,
  prey: Prey,
  anyInput: fc.Arbitrary<Input>,
  { seed, inputs }: { readonly seed: number; readonly inputs: number },
  run: (batch: readonly Input[], world: World, pipeline: Pipeline) => Promise<void>,
): Promise<void> {
  const pipeline = new Pipeline(server.port);
  let round = 0;
  const rounds = fc.array(anyInput, { minLength: 1, maxLength: 12, size: "max" });
  const property = fc.asyncProperty(rounds, async (batch) =>
    run(batch, await newWorld(server, pipeline, prey, round++), pipeline),
  );
  try {
    await fc.assert(property, { seed, numRuns: Math.ceil(inputs / 6.5), includeErrorInReport: true });
  } finally {
    pipeline.close();
  }
}

/** Sends rounds of pipelined requests on one connection. */
export function httpLane(
  server: ServerProcess,
  prey: Prey,
  requests: fc.Arbitrary<FuzzRequest>,
  options: { readonly seed: number; readonly inputs: number },
  tally: Tally,
): Promise<void> {
  return runRounds(server, prey, requests, options, async (batch, world, pipeline) => {
    const answers = await pipeline.send(batch.map((request) => toWire(request, server, world)));
    for (const [i, answer] of answers.entries()) {
      const request = batch[i];
      if (request === undefined) continue;
      count(tally, String(answer.status));
      const complaint = complaintAbout(verdict(answer, request), world);
      if (complaint === undefined) continue;
      const sent = toWire(request, server, world).bytes.toString("latin1").slice(0, 1500);
      const text = `${answer.head}${answer.body.toString("latin1")}`.slice(0, 1500);
      throw new Error(`${request.aim}: ${complaint}\n>>> ${sent}\n<<< ${text}`);
    }
  });
}
