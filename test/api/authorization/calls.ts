import { once } from "node:events";
import { type ClientHttp2Session, type IncomingHttpHeaders, connect } from "node:http2";
import {
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  type JsonObject,
  type JsonValue,
  type Message,
  fromJson,
  getOption,
} from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll } from "vitest";
import { http } from "../../../gen/google/api/annotations_pb.ts";
import type { HttpRule } from "../../../gen/google/api/http_pb.ts";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import type { Certified } from "../../support/process/certificates.ts";
import type { Credential } from "./callers.ts";
import type { Stage } from "./stage.ts";

/** Outcome of a call. */
export interface Outcome {
  /** `OK`, the reason with its code, or the status and error of a documented API. */
  readonly result: string;
  /** The answer without request ids and times. */
  readonly answer: unknown;
}

export type Call = (message: JsonObject, credential: Credential) => Promise<Outcome>;

/** The ways to call a method with a message, by name. */
export type Ways = (method: DescMethod, message: JsonObject) => ReadonlyMap<string, Call>;

/** Calls over gRPC, unless only REST serves the method, and over REST by every path that fits the message. */
export function waysTo(stage: Stage): Ways {
  const connections = new Connections(stage);
  return (method, message) => {
    const ways = new Map<string, Call>();
    if (!method.parent.typeName.startsWith("compat.")) ways.set("gRPC", grpc(connections, method));
    for (const rule of rulesOf(method)) {
      const { httpMethod, template } = pathOf(rule);
      const variables = [...template.matchAll(/\{(\w+)[\w.]*\}/g)].map(([, name = ""]) => name);
      if (variables.every((name) => name in message)) {
        ways.set(`${httpMethod} ${template}`, rest(connections, method, rule));
      }
    }
    return ways;
  };
}

function grpc(connections: Connections, method: DescMethod): Call {
  return async (message, { headers, certificate }) => {
    const { transport } = connections.of(certificate);
    const request = fromJson(method.input, message);
    const ending = new AbortController();
    try {
      await ask(transport, method, ending.signal, headers, request);
      return { result: "OK", answer: "" };
    } catch (error) {
      const failure = ConnectError.from(error);
      const { code, rawMessage, details, metadata } = failure;
      const reason = failure.findDetails(ErrorInfoSchema)[0]?.reason ?? rawMessage;
      const answer = [code, rawMessage, details, lasting([...metadata])];
      return { result: `${reason} ${Code[code]}`, answer };
    } finally {
      ending.abort();
    }
  };
}

/** Resolves with the answer, or the first message of a stream. */
export async function ask(
  transport: Transport,
  method: DescMethod,
  signal: AbortSignal,
  headers: HeadersInit,
  request: Message,
): Promise<void> {
  if (isUnary(method)) {
    await transport.unary(method, signal, deadline, headers, request);
  } else {
    // Connect's type is for one kind of stream at a time.
    const stream = method as DescMethodStreaming;
    const answer = await transport.stream(stream, signal, deadline, headers, only(request));
    for await (const _ of answer.message) break;
  }
}

const deadline = 20_000;

function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === "unary";
}

async function* only<T>(message: T): AsyncGenerator<T> {
  yield message;
}

function rest(connections: Connections, method: DescMethod, rule: HttpRule): Call {
  const { httpMethod, template } = pathOf(rule);
  return async (message, { headers, certificate }) => {
    const left: Record<string, JsonValue> = { ...message };
    const path = template.replaceAll(/\{([\w.]+)\}/g, (_, name: string) => {
      const value = valueAt(message, name);
      delete left[name];
      return encodeURIComponent(value);
    });
    const hasQuery = rule.body === "" && Object.keys(left).length > 0;
    const query = hasQuery ? `?${new URLSearchParams(left as Record<string, string>).toString()}` : "";
    const body = rule.body === "" ? undefined : rule.body === "*" ? left : left[rule.body];
    const stream = connections.of(certificate).session.request({
      ":method": httpMethod,
      ":path": path + query,
      ...(body !== undefined && { "content-type": "application/json" }),
      ...headers,
    });
    stream.setEncoding("utf8");
    stream.end(body === undefined ? undefined : JSON.stringify(body));
    const [received] = (await once(stream, "response")) as [IncomingHttpHeaders];
    let text = "";
    for await (const chunk of stream) {
      text += chunk;
      if (method.methodKind !== "unary") break;
    }
    const status = Number(received[":status"]);
    const answer = [lasting(Object.entries(received)), text.replaceAll(/request-id-test-[0-9a-f-]{36}/g, "")];
    const isOwn = method.parent.typeName.startsWith("session.");
    return { result: isOwn ? ownResult(status, text) : compatResult(status, text), answer };
  };
}

/** Removes headers that differ in every answer. */
function lasting(headers: readonly (readonly [string, unknown])[]): unknown {
  return Object.fromEntries(headers.filter(([name]) => name !== "x-request-id" && name !== "date"));
}

/** The text in a field, such as `project.id`. */
function valueAt(message: JsonObject, path: string): string {
  return path
    .split(".")
    .reduce((value: JsonValue, name) => (value as JsonObject)[name] ?? "", message) as string;
}

function ownResult(status: number, text: string): string {
  if (status === 200) return "OK";
  const { code, details }: { code: Code; details: { reason?: string }[] } = JSON.parse(text);
  return `${details.find(({ reason }) => reason)?.reason} ${Code[code]} ${status}`;
}

/** Errors of documented APIs have a type or a text. */
function compatResult(status: number, text: string): string {
  const { error_type, error } = status < 300 ? {} : JSON.parse(text);
  const shown = error_type ?? (typeof error === "string" ? error : error?.message);
  return shown === undefined ? String(status) : `${status} ${shown}`;
}

function rulesOf(method: DescMethod): readonly HttpRule[] {
  const rule = getOption(method, http);
  return rule.pattern.case === undefined ? [] : [rule, ...rule.additionalBindings];
}

function pathOf({ pattern }: HttpRule): { httpMethod: string; template: string } {
  if (pattern.case === undefined || pattern.case === "custom") throw new Error("a rule has no path");
  return { httpMethod: pattern.case.toUpperCase(), template: pattern.value };
}

/** One connection for all callers without a certificate, and one for each certificate. */
class Connections {
  readonly #stage: Stage;
  readonly #open = new Map<Certified | undefined, { transport: Transport; session: ClientHttp2Session }>();

  constructor(stage: Stage) {
    this.#stage = stage;
    afterAll(() => this.#open.forEach(({ session }) => session.destroy()));
  }

  of(certificate: Certified | undefined): { transport: Transport; session: ClientHttp2Session } {
    const known = this.#open.get(certificate);
    if (known !== undefined) return known;
    const { ca, service } = this.#stage;
    const nodeOptions = { ca, ...certificate };
    const transport = createGrpcTransport({ baseUrl: service.url, nodeOptions });
    const session = connect(service.url, nodeOptions);
    session.on("error", () => undefined);
    const made = { transport, session };
    this.#open.set(certificate, made);
    return made;
  }
}
