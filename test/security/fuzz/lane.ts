import fc from "fast-check";
import type { ServerProcess } from "../../support/process/server-process.ts";
import { type Answer, Pipeline, type WireRequest } from "./pipeline.ts";
import type { FuzzRequest } from "./http-requests.ts";
import type { Values } from "./texts.ts";

/** What the service issued for one round of requests: `known` is used anywhere, `guarded` as a credential only. */
export interface World {
  readonly values: Values;
  readonly guarded: { readonly token: string; readonly jwt: string };
  /** Must not be in an answer that is an error. */
  readonly known: readonly string[];
  /** Must not be in any answer. */
  readonly secrets: readonly string[];
}

/** The other project, which fuzzed calls may do anything to. */
export interface Prey {
  readonly id: string;
  readonly token: string;
  readonly jwt: string;
}

/** Creates two sessions of the operator's own project. Rejects when the service does not do that any more. */
export async function newWorld(
  server: ServerProcess,
  pipeline: Pipeline,
  prey: Prey,
  round: number,
): Promise<World> {
  const request = { isHead: false, bytes: createRequest(server.basic, `alice-${round % 97}`) };
  const sessions = (await pipeline.send([request, request])).map((answer) => {
    if (answer.status !== 200) {
      throw new Error(`no session any more: ${answer.status} ${answer.body.toString()}`);
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

/** A Create call, as Connect has it. */
export function createRequest(basic: string, memberId: string): Buffer {
  return post("/session.v1.SessionService/Create", basic, { memberId });
}

/** A Connect call in JSON. */
export function post(path: string, basic: string, message: object): Buffer {
  const body = JSON.stringify(message);
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nHost: h\r\nAuthorization: ${basic}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
}

/** Header values with what is only ever a credential in its place, as bytes that a header may have. */
export function headerText(text: string, server: ServerProcess, { guarded, values }: World): string {
  return text
    .replaceAll("@service@", server.basic)
    .replaceAll("@guarded-token@", guarded.token)
    .replaceAll("@guarded-jwt@", guarded.jwt)
    .replaceAll(/@([a-z-]+)@/g, (whole, name: keyof Values) => values[name] ?? whole)
    .replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, "?")
    .slice(0, 6000);
}

/** What is wrong with an answer; undefined where nothing is. */
export function complaintAbout(
  answer: { readonly isFault: boolean; readonly isError: boolean; readonly said: string },
  { known, secrets }: World,
): string | undefined {
  if (answer.isFault) return "the service says that it is at fault";
  const leaks = answer.isError ? [...secrets, ...known] : secrets;
  return leaks.some((secret) => answer.said.includes(secret)) ? "a secret is in the answer" : undefined;
}

/** Requests as HTTP/1.1 has them. */
export function toWire(request: FuzzRequest, server: ServerProcess, world: World): WireRequest {
  // What no request line may hold would end the connection, and with it what was sent behind.
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

/** Codes of gRPC that say that the service is at fault: UNKNOWN, INTERNAL, UNAVAILABLE, DATA_LOSS. */
export const faultCodes: readonly string[] = ["2", "13", "14", "15"];

/** What an HTTP/1.1 answer comes to. */
export function verdict({ status, headers, head, body }: Answer, { aim, mayTimeOut }: FuzzRequest) {
  const said = `${head}${body.toString("latin1")}`;
  const code = headers.get("grpc-status") ?? /grpc-status: *(\d+)/.exec(said)?.[1];
  // In the documented APIs every failure that is not the caller's is a 500, a deadline that has passed too.
  const isTimeout = mayTimeOut && (status === 504 || (status === 500 && !aim.includes(" /session/v1/")));
  // The documented answer of Connect to a compression that is not known here.
  const isUnknownEncoding = status === 501 && said.includes("unknown compression");
  const isAllowed = isTimeout || isUnknownEncoding;
  const isFault = (status >= 500 && !isAllowed) || (code !== undefined && faultCodes.includes(code));
  // A stream may have told of what was stored, a token in the place of a member's id too, before its time was over.
  return { isFault, isError: status >= 400 || (code !== undefined && code !== "0" && !mayTimeOut), said };
}

/** The figures of a run. */
export interface Tally {
  inputs: number;
  /** By HTTP status or gRPC code. */
  readonly outcomes: Map<string, number>;
}

/** Counts one more. */
export function count(tally: Tally, outcome: string): void {
  tally.inputs++;
  tally.outcomes.set(outcome, (tally.outcomes.get(outcome) ?? 0) + 1);
}

/** Sends rounds of pipelined requests on one connection until `inputs` have been sent. Rejects with the smallest that fails. */
export async function httpLane(
  server: ServerProcess,
  prey: Prey,
  requests: fc.Arbitrary<FuzzRequest>,
  { seed, inputs }: { readonly seed: number; readonly inputs: number },
  tally: Tally,
): Promise<void> {
  const pipeline = new Pipeline(server.port);
  let round = 0;
  const rounds = fc.array(requests, { minLength: 1, maxLength: 12, size: "max" });
  const property = fc.asyncProperty(rounds, async (batch) => {
    const world = await newWorld(server, pipeline, prey, round++);
    const answers = await pipeline.send(batch.map((request) => toWire(request, server, world)));
    for (const [i, answer] of answers.entries()) {
      const request = batch[i];
      if (request === undefined) continue;
      count(tally, String(answer.status));
      const complaint = complaintAbout(verdict(answer, request), world);
      if (complaint === undefined) continue;
      const sent = toWire(request, server, world).bytes.toString("latin1").slice(0, 1500);
      const said = `${answer.head}${answer.body.toString("latin1")}`.slice(0, 1500);
      throw new Error(`${request.aim}: ${complaint}\n>>> ${sent}\n<<< ${said}`);
    }
  });
  try {
    await fc.assert(property, { seed, numRuns: Math.ceil(inputs / 6.5), includeErrorInReport: true });
  } finally {
    pipeline.close();
  }
}
