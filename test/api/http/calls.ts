import { gzipSync } from "node:zlib";
import { type DescMessage, fromJson, toBinary } from "@bufbuild/protobuf";
import { ProjectService } from "../../../gen/session/v1/project_service_pb.ts";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { envelope } from "../../support/fixtures/http2-bytes.ts";
import type { Protocol, Sent } from "./exchange.ts";

/** A method, and its route over REST. */
interface Method {
  readonly path: string;
  readonly input: DescMessage;
  readonly rest: (message: Readonly<Record<string, string>>) => Pick<Sent, "verb" | "target">;
}

const sessions = "/session/v1/sessions";

export const methods = {
  create: {
    path: "/session.v1.SessionService/Create",
    input: SessionService.method.create.input,
    rest: () => ({ verb: "POST", target: sessions }),
  },
  get: {
    path: "/session.v1.SessionService/Get",
    input: SessionService.method.get.input,
    rest: ({ id }) => ({ verb: "GET", target: `${sessions}/${id}` }),
  },
  list: {
    path: "/session.v1.SessionService/List",
    input: SessionService.method.list.input,
    rest: ({ memberId }) => ({ verb: "GET", target: `${sessions}?member_id=${memberId}` }),
  },
  jwks: {
    path: "/session.v1.ProjectService/GetJwks",
    input: ProjectService.method.getJwks.input,
    rest: ({ projectId }) => ({ verb: "GET", target: `/session/v1/projects/${projectId}/jwks` }),
  },
  watch: {
    path: "/session.v1.SessionService/WatchRevocations",
    input: SessionService.method.watchRevocations.input,
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
  const { path, input, rest } = methods[call.method] as Method;
  const isStream = call.method === "watch";
  const isBinary = call.bytes !== undefined || (protocol.startsWith("gRPC") && call.text === undefined);
  const plain = isBinary
    ? (call.bytes ?? toBinary(input, fromJson(input, { ...call.message })))
    : Buffer.from(call.text ?? JSON.stringify(call.message));
  const format = isBinary ? "proto" : "json";
  const { compression } = call;
  const message = compression === undefined ? plain : gzipSync(plain);
  switch (protocol) {
    case "gRPC":
    case "gRPC-Web": {
      const type = protocol === "gRPC" ? "application/grpc" : "application/grpc-web";
      return {
        verb: "POST",
        target: path,
        headers: {
          "content-type": `${type}+${format}`,
          ...(compression !== undefined && { "grpc-encoding": compression }),
        },
        body: envelope(message, compression === undefined ? 0 : 1),
      };
    }
    case "Connect":
      return {
        verb: "POST",
        target: path,
        headers: {
          "content-type": `application/${isStream ? "connect+" : ""}${format}`,
          ...(compression !== undefined && { "content-encoding": compression }),
        },
        body: isStream ? envelope(message) : message,
      };
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
        headers: {
          ...(hasBody && { "content-type": "application/json" }),
          ...(compression !== undefined && { "content-encoding": compression }),
        },
        body: hasBody ? message : undefined,
      };
    }
  }
}
