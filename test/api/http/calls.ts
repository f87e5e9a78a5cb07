import { gzipSync } from "node:zlib";
import { type DescMethod, fromJson, toBinary } from "@bufbuild/protobuf";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { envelope } from "../../support/fixtures/http2-bytes.ts";
import type { Protocol, Sent } from "./exchange.ts";

/** A method, and its route over REST. */
interface Method {
  readonly method: DescMethod;
  readonly rest: (message: Readonly<Record<string, string>>) => Pick<Sent, "verb" | "target">;
}

const sessions = "/session/v1/sessions";

export const methods = {
  create: {
    method: SessionService.method.create,
    rest: () => ({ verb: "POST", target: sessions }),
  },
  get: {
    method: SessionService.method.get,
    rest: ({ id }) => ({ verb: "GET", target: `${sessions}/${id}` }),
  },
  list: {
    method: SessionService.method.list,
    rest: ({ memberId }) => ({ verb: "GET", target: `${sessions}?member_id=${memberId}` }),
  },
  watch: {
    method: SessionService.method.watchRevocations,
    rest: () => ({ verb: "GET", target: "/session/v1/revocations:watch" }),
  },
} as const satisfies Record<string, Method>;

/** What is called, before it is written in one protocol. */
export interface Call {
  readonly method: keyof typeof methods;
  readonly message: Readonly<Record<string, string>>;
  /** JSON text in place of the message. */
  readonly text?: string | undefined;
  /** Bytes in place of the binary message. */
  readonly bytes?: Uint8Array | undefined;
  /** Name of the compression; the message is compressed with gzip in any case. */
  readonly compression?: string | undefined;
}

/** Writes a call as a request of a protocol. gRPC and gRPC-Web are binary unless the text of the JSON is given. */
export function requestOf(protocol: Protocol, call: Call): Sent {
  const { method, rest } = methods[call.method] as Method;
  const { input } = method;
  const path = `/${method.parent.typeName}/${method.name}`;
  const isBinary = call.bytes !== undefined || (protocol.startsWith("gRPC") && call.text === undefined);
  const plain = isBinary
    ? (call.bytes ?? toBinary(input, fromJson(input, { ...call.message })))
    : Buffer.from(call.text ?? JSON.stringify(call.message));
  const format = isBinary ? "proto" : "json";
  const { compression } = call;
  const message = compression === undefined ? plain : gzipSync(plain);
  const encodingHeader = protocol.startsWith("gRPC") ? "grpc-encoding" : "content-encoding";
  const encoding = compression === undefined ? {} : { [encodingHeader]: compression };
  const post = (type: string, body: Uint8Array): Sent => ({
    verb: "POST",
    target: path,
    headers: { "content-type": `application/${type}${format}`, ...encoding },
    body,
  });
  const framed = envelope(message, compression === undefined ? 0 : 1);
  switch (protocol) {
    case "gRPC":
      return post("grpc+", framed);
    case "gRPC-Web":
      return post("grpc-web+", framed);
    case "Connect":
      return call.method === "watch" ? post("connect+", framed) : post("", message);
    case "Connect GET": {
      const query = new URLSearchParams({
        connect: "v1",
        encoding: format,
        base64: "1",
        message: Buffer.from(message).toString("base64url"),
        ...(compression !== undefined && { compression }),
      });
      return { verb: "GET", target: `${path}?${query.toString()}`, headers: {} };
    }
    case "REST": {
      const { verb, target } = rest(call.message);
      const hasBody = verb !== "GET";
      return {
        verb,
        target,
        headers: { ...(hasBody && { "content-type": "application/json" }), ...encoding },
        body: hasBody ? message : undefined,
      };
    }
  }
}
