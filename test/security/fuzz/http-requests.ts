import { brotliCompressSync, gzipSync } from "node:zlib";
import type { DescField, DescMessage, DescMethod } from "@bufbuild/protobuf";
import fc from "fast-check";
import { allRpcMethods, nameOf, restServices } from "../hostile/surface.ts";
import { assembled } from "../../support/fixtures/assembled.ts";
import { type Headers, anyCredentials } from "./credentials.ts";
import { anyEnvelopeFault, enveloped } from "./envelope.ts";
import { anyMessage, jsonBytes, protoBytes } from "./messages.ts";
import { type Values, anyJwt, anyToken, edited, filledIn, known, sometimes, weighted } from "./texts.ts";

/** A request before placeholders are filled in. */
export interface FuzzRequest {
  /** The route or method that it is derived from. */
  readonly aim: string;
  readonly verb: string;
  /** Path and query. Bytes that a request line cannot have are escaped later. */
  readonly target: (values: Values) => string;
  readonly headers: Headers;
  readonly body: ((values: Values) => Buffer) | undefined;
  readonly isChunked: boolean;
  /** Whether its deadline may pass before the answer. */
  readonly mayTimeOut: boolean;
}

const verbs = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "PROPFIND"];
const anyText = edited(
  weighted(
    [6, fc.constantFrom(...known)],
    [2, fc.string({ unit: "binary", maxLength: 12 })],
    [1, fc.oneof(anyToken, anyJwt)],
    [1, fc.nat(3000).map((length) => "x".repeat(length))],
  ),
);
type Piece = (values: Values) => string;

const escaped = (text: string, values: Values) =>
  [...Buffer.from(filledIn(text, values))].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");

const oddPieces = ["%", "%zz", "%00", "..", ".", "%2F", "*", "**", ":revoke", "a:b", "%ed%a0%80", ""];
const asIs = (text: string) => (values: Values) => filledIn(text, values);

/** A piece of a path or a query, escaped or not. */
const anyPiece: fc.Arbitrary<Piece> = weighted(
  [4, fc.constantFrom(...known).map(asIs)],
  [3, anyText.map((text) => (values: Values) => escaped(text, values))],
  [1, fc.constantFrom(...oddPieces).map((text) => () => text)],
  [1, anyText.map(asIs)],
);

function queryNames(message: DescMessage, depth = 2): string[] {
  return message.fields.flatMap((field: DescField) => [
    field.name,
    field.jsonName,
    ...(field.fieldKind === "message" && depth > 0
      ? queryNames(field.message, depth - 1).map((name) => `${field.name}.${name}`)
      : []),
  ]);
}

const tracking = ["x-request-id", "traceparent", "x-forwarded-for"] as const;
const negotiation = ["accept", "accept-encoding", "origin", "range", "if-none-match"] as const;

const anyHeaders: fc.Arbitrary<Headers> = fc.array(
  fc.oneof(
    fc.tuple(fc.constantFrom(...tracking, ...negotiation), anyText),
    fc.tuple(
      fc.constantFrom("grpc-accept-encoding", "connect-accept-encoding"),
      fc.constantFrom("gzip", "br", "x", "gzip,br;q=0"),
    ),
    fc.constantFrom(["accept", "text/event-stream"] as const, ["accept-encoding", "gzip"] as const),
  ),
  { maxLength: 2 },
);

const anyTimeout = fc.tuple(
  fc.constantFrom("grpc-timeout", "connect-timeout-ms", "x-server-timeout"),
  fc.constantFrom("1n", "1", "0", "-1", "99999999H", "1.5", "x", "9999999999", "5m"),
);
const timeouts: fc.Arbitrary<Headers> = weighted(
  [30, fc.constant([])],
  [1, anyTimeout.map((header) => [header])],
);

type Encoding = (typeof encodings)[number];
const encodings = ["gzip", "br", "identity", "deflate", "gzip, gzip", "gzip as br", "broken gzip"] as const;
const anyEncoding = weighted([12, fc.constant(undefined)], [1, fc.constantFrom(...encodings)]);

function encode(bytes: Buffer, encoding: Encoding | undefined): Buffer {
  switch (encoding) {
    case "gzip":
    case "gzip as br":
      return gzipSync(bytes, { level: 1 });
    case "br":
      return brotliCompressSync(bytes.subarray(0, 1000));
    case "broken gzip":
      return gzipSync(bytes, { level: 1 }).subarray(0, -7);
    default:
      return bytes;
  }
}

function encodingName(encoding: Encoding): string {
  return encoding === "gzip as br" ? "br" : encoding === "broken gzip" ? "gzip" : encoding;
}

const methodsByName = new Map(
  restServices
    .flatMap((service) => service.methods)
    .map((method) => [`${method.parent.typeName}.${method.name}`, method]),
);

export const routes = assembled().routes.map(({ httpMethod, template, rpc }) => {
  const method = methodsByName.get(rpc);
  if (method === undefined) throw new Error(`no descriptor of ${rpc}`);
  return { httpMethod: httpMethod === "*" ? "POST" : httpMethod, template, method };
});

const pathFaults = [
  (path: string) => `${path}/`,
  (path: string) => `/${path}`,
  (path: string) => path.replace("/", "//"),
  (path: string) => path.toUpperCase(),
  (path: string) => `${path}:revoke`,
  (path: string) => `${path};a=b`,
  (path: string) => `http://elsewhere.example${path}`,
  (path: string) => path.replace(/[a-z]/, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
  (path: string) => path.slice(0, -1),
  (path: string) => `${path}/${"a/".repeat(300)}`,
] as const;

const otherTypes = [
  "application/json; charset=utf-16",
  "text/plain",
  "application/proto",
  "",
  "multipart/form-data; boundary=a",
  "application/x-www-form-urlencoded",
];

const isStream = (method: DescMethod) => method.methodKind !== "unary";

export const anyRestRequest: fc.Arbitrary<FuzzRequest> = fc.oneof(
  ...routes.map((route): fc.Arbitrary<FuzzRequest> => {
    const { method, template } = route;
    const names = [...queryNames(method.input), "unknown", "__proto__"];
    return fc
      .record({
        verb: weighted([20, fc.constant(route.httpMethod)], [1, fc.constantFrom(...verbs)]),
        pieces: fc.array(anyPiece, { minLength: 3, maxLength: 3 }),
        query: weighted(
          [3, fc.constant<[string, Piece][]>([])],
          [1, fc.array(fc.tuple(fc.constantFrom(...names), anyPiece), { maxLength: 4 })],
        ),
        fault: sometimes(fc.constantFrom(...pathFaults), 12),
        message: anyMessage(method.input),
        hasBody: fc.integer({ min: 0, max: 15 }),
        type: weighted([12, fc.constant("application/json")], [1, fc.constantFrom(...otherTypes)]),
        encoding: anyEncoding,
        credentials: anyCredentials,
        headers: anyHeaders,
        timeout: timeouts,
        isChunked: fc.boolean(),
      })
      .map((given) => {
        const { verb, pieces, query, fault, message, hasBody, type, encoding, timeout } = given;
        const sendsBody = (verb !== "GET" && verb !== "HEAD" && hasBody > 0) || hasBody === 15;
        return {
          aim: `${route.httpMethod} ${template}`,
          verb,
          target: (values) => {
            let variable = 0;
            const path = template.replaceAll(/\{[^}]*\}/g, () => pieces[variable++ % 3]?.(values) ?? "");
            const search = query.map(([name, value]) => `${name}=${value(values)}`).join("&");
            return `${fault?.(path) ?? path}${search === "" ? "" : `?${search}`}`;
          },
          headers: [
            ...given.credentials,
            ...given.headers,
            ...(isStream(method) ? ([["x-server-timeout", "0.03"]] as const) : timeout),
            ...(sendsBody ? ([["content-type", type]] as const) : []),
            ...(sendsBody && encoding !== undefined
              ? ([["content-encoding", encodingName(encoding)]] as const)
              : []),
          ],
          body: sendsBody ? (values) => encode(jsonBytes(message, values), encoding) : undefined,
          isChunked: given.isChunked,
          mayTimeOut: isStream(method) || timeout.length > 0,
        };
      });
  }),
);

const httpMethods = allRpcMethods.filter((method) => method.methodKind !== "bidi_streaming");
const httpCarriers = ["connect", "connect-stream", "connect-get", "grpc-web", "grpc-web-text"] as const;

function carriersOf(method: DescMethod): fc.Arbitrary<(typeof httpCarriers)[number]> {
  const usual = isStream(method)
    ? (["connect-stream", "grpc-web"] as const)
    : (["connect", "grpc-web"] as const);
  return weighted([6, fc.constantFrom(...usual)], [1, fc.constantFrom(...httpCarriers)]);
}

/** RPC calls over HTTP/1.1: Connect and gRPC-Web. Not bidirectional streams: their answer is 505 and ends the connection. */
export const anyHttpCall: fc.Arbitrary<FuzzRequest> = fc.oneof(
  ...httpMethods.map((method): fc.Arbitrary<FuzzRequest> =>
    fc
      .record({
        carrier: carriersOf(method),
        format: fc.constantFrom("json" as const, "proto" as const),
        message: anyMessage(method.input),
        encoding: anyEncoding,
        credentials: anyCredentials,
        headers: anyHeaders,
        timeout: timeouts,
        frame: anyEnvelopeFault,
        isChunked: fc.boolean(),
      })
      .map(({ carrier, format, message, encoding, credentials, headers, timeout, frame, isChunked }) => {
        const path = `/${nameOf(method)}`;
        const bytesOf = (values: Values) => {
          const bytes = format === "json" ? jsonBytes(message, values) : protoBytes(message, values);
          return encode(bytes, encoding);
        };
        const shortest = carrier.startsWith("grpc")
          ? (["grpc-timeout", "30m"] as const)
          : (["connect-timeout-ms", "30"] as const);
        const deadline: Headers = isStream(method) ? [shortest] : timeout;
        const common = {
          aim: `${carrier} ${method.name}`,
          isChunked,
          mayTimeOut: isStream(method) || timeout.length > 0,
        };
        if (carrier === "connect-get") {
          return {
            ...common,
            verb: "GET",
            target: (values: Values) =>
              `${path}?connect=v1&encoding=${format}&base64=1&message=${bytesOf(values).subarray(0, 8000).toString("base64url")}`,
            headers: [...credentials, ...headers, ...deadline],
            body: undefined,
          };
        }
        const name =
          { connect: "content-encoding", "connect-stream": "connect-content-encoding" }[carrier as string] ??
          "grpc-encoding";
        const type = {
          connect: "",
          "connect-stream": "connect+",
          "grpc-web": "grpc-web+",
          "grpc-web-text": "grpc-web-text+",
        }[carrier];
        return {
          ...common,
          verb: "POST",
          target: () => path,
          headers: [
            ["content-type", `application/${type}${format}`],
            ...credentials,
            ...headers,
            ...deadline,
            ...(encoding === undefined ? [] : ([[name, encodingName(encoding)]] as const)),
          ],
          body: (values: Values) => {
            const bytes = bytesOf(values);
            if (carrier === "connect") return bytes;
            const framed = enveloped(bytes, encoding !== undefined, frame);
            return carrier === "grpc-web-text" ? Buffer.from(framed.toString("base64")) : framed;
          },
        };
      }),
  ),
);
