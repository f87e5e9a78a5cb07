import { Permission } from "../../../gen/session/v1/project_pb.ts";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { basicAuthorization, runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf, sessionsOf } from "../../support/fixtures/service-clients.ts";
import { type Call, requestOf } from "./calls.ts";
import { type Protocol, type Sent, type Verdict, protocols, verdictOf } from "./exchange.ts";

const service = await runningService();
const { session, token } = await sessionsOf(service).create({ memberId: "alice" });
const id = session?.id ?? "";
const { secret: creating } = await projectsOf(service).createServiceCredential({
  projectId: service.projectId,
  permissions: [Permission.SESSIONS_CREATE],
});

/** One request, written in every protocol, and what each answers. */
interface Row {
  readonly name: string;
  /** Get of a session by default. */
  readonly call?: Partial<Call>;
  /** What differs from the regular request. Headers are added to its own. */
  readonly sent?: Partial<Sent> | ((protocol: Protocol, sent: Sent) => Partial<Sent>);
  /** The answers, protocol by protocol; undefined if the protocol cannot send such a request. */
  readonly answers: Readonly<Record<Protocol, Expected | undefined>>;
}

type Expected = Pick<Verdict, "status"> & Partial<Verdict>;

const getJwks = encodeURIComponent(JSON.stringify({ projectId: service.projectId }));
const anyone = "Bearer";
const authorization = service.basic;

/** The same code and reason everywhere; gRPC always has the status 200. */
function alike(
  code: string,
  reason: string | undefined,
  [connect, rest]: readonly [connect: number, rest: number],
  headers: { readonly connect?: Verdict["headers"]; readonly rest?: Verdict["headers"] } = {},
): Record<Protocol, Expected> {
  const outcome = { code, reason };
  const web = { ...outcome, status: connect, headers: headers.connect ?? {} };
  return {
    gRPC: { ...outcome, status: 200 },
    "gRPC-Web": { ...outcome, status: 200 },
    Connect: web,
    "Connect GET": { ...web, headers: { ...web.headers, vary: "accept-encoding" } },
    REST: { ...outcome, status: rest, headers: headers.rest ?? {} },
  };
}

/** No protocol can send the request. */
const none = {
  gRPC: undefined,
  "gRPC-Web": undefined,
  Connect: undefined,
  "Connect GET": undefined,
  REST: undefined,
};
const stream = {
  status: 200,
  code: "Ok",
  headers: { "cache-control": "no-store", "x-accel-buffering": "no" },
};
const streams = { gRPC: stream, "gRPC-Web": stream, Connect: stream, "Connect GET": undefined, REST: stream };
const ok = alike("Ok", undefined, [200, 200]);
const challenge = { "www-authenticate": anyone };
const unauthenticated = (reason: string) =>
  alike("Unauthenticated", reason, [401, 401], { connect: challenge, rest: challenge });
const invalid = alike("InvalidArgument", "FIELD_INVALID", [400, 400]);
/** Refused before a protocol is known, without the headers of a call. */
const early = { reason: "FIELD_INVALID", code: "InvalidArgument", plainReason: undefined };
const badHost: Record<Protocol, Expected> = {
  gRPC: { ...early, status: 200 },
  "gRPC-Web": { ...early, status: 200 },
  Connect: { ...early, status: 400 },
  "Connect GET": { ...early, status: 400 },
  REST: { ...early, status: 400 },
};

const actingUser = (value: string | string[]): NonNullable<Row["sent"]> => ({
  headers: { "acting-user": value },
});

/** Sets the deadline header of each protocol. */
function timeouts(grpc: string, connect: string, rest: string): NonNullable<Row["sent"]> {
  return (protocol) => {
    if (protocol.startsWith("gRPC")) return { headers: { "grpc-timeout": grpc } };
    return {
      headers: protocol === "REST" ? { "x-server-timeout": rest } : { "connect-timeout-ms": connect },
    };
  };
}

/** Replaces the part of the target before the query. */
function at(rpc: string, rest: string): NonNullable<Row["sent"]> {
  return (protocol, { target }) => ({
    target: protocol === "REST" ? rest : target.replace(/^[^?]*/, rpc),
  });
}

const large = { memberId: "a".repeat(1_100_000) };
const create = { method: "create", message: { memberId: "alice" } } as const;
const listRest = (query: string) => ({ verb: "GET", target: `/session/v1/sessions?${query}` });

const rows: readonly Row[] = [
  { name: "a good request", answers: ok },
  {
    name: "no credential",
    sent: { headers: { authorization: "" } },
    answers: unauthenticated("CREDENTIAL_MISSING"),
  },
  {
    name: "a bad credential",
    sent: { headers: { authorization: basicAuthorization(service.projectId, "wrong") } },
    answers: unauthenticated("CREDENTIAL_INVALID"),
  },
  {
    name: "a call that is not permitted",
    sent: { headers: { authorization: basicAuthorization(service.projectId, creating) } },
    answers: alike("PermissionDenied", "PERMISSION_MISSING", [403, 403]),
  },
  {
    name: "an unknown id",
    call: { message: { id: "01900000-0000-7000-8000-000000000000" } },
    answers: alike("NotFound", "SESSION_NOT_FOUND", [404, 404]),
  },
  { name: "an acting user", sent: actingUser("Zo%C3%AB%2C%20the%20desk"), answers: ok },
  {
    name: "an acting user of 255 characters",
    sent: actingUser(encodeURIComponent("\u{1f600}".repeat(255))),
    answers: ok,
  },
  { name: "an acting user that is too long", sent: actingUser("a".repeat(256)), answers: invalid },
  { name: "an empty acting user", sent: actingUser(""), answers: invalid },
  { name: "an acting user with a malformed escape", sent: actingUser("100%"), answers: invalid },
  { name: "an acting user that is not UTF-8", sent: actingUser("%ff"), answers: invalid },
  { name: "an acting user that is not encoded", sent: actingUser("Zo\u00eb"), answers: invalid },
  { name: "an acting user with a line break", sent: actingUser("a%0Ab"), answers: invalid },
  { name: "two acting users", sent: actingUser(["ada", "bob"]), answers: invalid },
  {
    name: "an acting user of an end user",
    sent: { headers: { authorization: `Bearer ${token}`, "acting-user": "alice" } },
    answers: invalid,
  },
  {
    name: "an acting user of nobody",
    sent: { headers: { authorization: "", "acting-user": "%" } },
    answers: unauthenticated("CREDENTIAL_MISSING"),
  },
  {
    name: "an acting user where nothing is recorded",
    call: { method: "watch", message: {} },
    sent: actingUser("ada"),
    answers: streams,
  },
  {
    name: "a malformed acting user where nothing is recorded",
    call: { method: "create", message: { memberId: "alice" } },
    sent: actingUser("%"),
    answers: { ...invalid, "Connect GET": undefined },
  },
  {
    name: "a malformed binary message",
    call: { bytes: Uint8Array.of(0x0a, 0x7f, 0x41) },
    answers: { ...invalid, REST: undefined },
  },
  {
    name: "malformed JSON",
    call: { ...create, text: '{"memberId": "al' },
    answers: { ...invalid, "Connect GET": undefined },
  },
  {
    name: "malformed JSON in a query",
    call: { text: '{"id": "al' },
    answers: { ...invalid, REST: undefined },
  },
  {
    name: "an unknown JSON member",
    call: { method: "list", message: { memberId: "a" }, text: '{"memberId": "a", "member": 1}' },
    sent: (protocol) => (protocol === "REST" ? listRest("member_id=a&member=1") : {}),
    answers: invalid,
  },
  {
    name: "the number 1e999",
    call: { method: "list", message: { memberId: "a" }, text: '{"memberId": "a", "pageSize": 1e999}' },
    sent: (protocol) => (protocol === "REST" ? listRest("member_id=a&page_size=1e999") : {}),
    answers: invalid,
  },
  {
    name: "the number 1e999 in claims",
    call: { ...create, text: '{"memberId": "a", "customClaims": {"a": 1e999}}' },
    answers: { ...invalid, "Connect GET": undefined },
  },
  {
    name: "an integer that a double cannot hold in claims",
    call: { ...create, text: '{"memberId": "a", "customClaims": {"id": 1125899906842624123}}' },
    answers: { ...invalid, "Connect GET": undefined },
  },
  {
    name: "a number too small for a double in claims",
    call: { ...create, text: '{"memberId": "a", "customClaims": {"a": [1e-400]}}' },
    answers: { ...invalid, "Connect GET": undefined },
  },
  {
    name: "claims nested too deep",
    call: {
      ...create,
      text: `{"memberId": "a", "customClaims": ${'{"a":'.repeat(50)}1${"}".repeat(50)}}`,
    },
    answers: { ...invalid, "Connect GET": undefined },
  },
  {
    name: "a key given twice in claims",
    call: { ...create, text: '{"memberId": "a", "customClaims": {"a": 1, "\\u0061": 2}}' },
    answers: { ...invalid, "Connect GET": undefined },
  },
  {
    name: "half a surrogate pair in a text",
    call: { ...create, text: '{"memberId": "\\ud83d"}' },
    answers: { ...invalid, "Connect GET": undefined },
  },
  ...["1e1", "1.0", "10e-1", "0", "-0"].map((pageSize): Row => ({
    name: `the integer ${pageSize}`,
    call: { method: "list", message: { memberId: "a" }, text: `{"memberId": "a", "pageSize": ${pageSize}}` },
    sent: (protocol) => (protocol === "REST" ? listRest(`member_id=a&page_size=${pageSize}`) : {}),
    answers: ok,
  })),
  ...["1e1", "1.0", "10e-1"].map((pageSize): Row => ({
    name: `the text ${pageSize} as an integer`,
    call: {
      method: "list",
      message: { memberId: "a" },
      text: `{"memberId": "a", "pageSize": "${pageSize}"}`,
    },
    sent: (protocol) => (protocol === "REST" ? listRest(`member_id=a&page_size=${pageSize}`) : {}),
    answers: ok,
  })),
  ...["0x10", "", " 1", "1 ", "+1", "1e-1", "1.5", "2147483648", "1e400"].map((pageSize): Row => ({
    name: `the text ${JSON.stringify(pageSize)}, which is no 32-bit integer`,
    call: {
      method: "list",
      message: { memberId: "a" },
      text: `{"memberId": "a", "pageSize": "${pageSize}"}`,
    },
    sent: (protocol) =>
      protocol === "REST" ? listRest(`member_id=a&page_size=${encodeURIComponent(pageSize)}`) : {},
    answers: invalid,
  })),
  {
    name: "a message that is too large",
    call: { ...create, message: large },
    answers: { ...alike("ResourceExhausted", undefined, [429, 413]), "Connect GET": undefined },
  },
  {
    name: "the method PUT where GET and POST are served",
    call: { method: "list", message: { memberId: "a" } },
    sent: { verb: "PUT" },
    answers: {
      gRPC: { status: 405, headers: { allow: "GET, HEAD, POST" } },
      "gRPC-Web": { status: 405, headers: { allow: "GET, HEAD, POST" } },
      Connect: { status: 405, headers: { allow: "GET, HEAD, POST" } },
      "Connect GET": { status: 405, headers: { allow: "GET, HEAD, POST" } },
      REST: { status: 405, code: "Unimplemented", headers: { allow: "GET, HEAD, POST" } },
    },
  },
  {
    name: "the method GET where only POST is served",
    call: create,
    sent: (protocol) => ({
      verb: "GET",
      body: undefined,
      ...(protocol === "REST" && { target: "/session/v1/sessions:authenticate" }),
    }),
    answers: {
      gRPC: { status: 405, headers: { allow: "POST" } },
      "gRPC-Web": { status: 405, headers: { allow: "POST" } },
      Connect: { status: 405, headers: { allow: "POST" } },
      "Connect GET": { status: 405, headers: { allow: "POST" } },
      REST: { status: 405, code: "Unimplemented", headers: { allow: "POST" } },
    },
  },
  {
    name: "HEAD where GET is served",
    sent: { verb: "HEAD", body: undefined },
    answers: {
      ...none,
      "Connect GET": ok["Connect GET"],
      REST: ok.REST,
    },
  },
  {
    name: "an unknown method",
    sent: at("/session.v1.SessionService/Nothing", "/session/v1/sessions:nothing"),
    answers: {
      ...alike("Unimplemented", undefined, [404, 404]),
      Connect: { status: 404, code: undefined },
      "Connect GET": { status: 404, code: undefined },
      REST: { status: 404, code: "NotFound" },
    },
  },
  {
    name: "an unknown service",
    sent: at("/session.v1.Nothing/Get", "/session/v1/nothing"),
    answers: {
      ...alike("Unimplemented", undefined, [404, 404]),
      Connect: { status: 404, code: undefined },
      "Connect GET": { status: 404, code: undefined },
      REST: { status: 404, code: "NotFound" },
    },
  },
  {
    name: "an unknown compression",
    call: { ...create, compression: "zstd" },
    answers: {
      gRPC: { status: 200, code: "Unimplemented", headers: { "grpc-accept-encoding": "gzip,br" } },
      "gRPC-Web": { status: 200, code: "Unimplemented", headers: { "grpc-accept-encoding": "gzip,br" } },
      Connect: { status: 501, code: "Unimplemented", headers: { "accept-encoding": "gzip,br" } },
      "Connect GET": undefined,
      REST: {
        status: 415,
        code: "InvalidArgument",
        reason: "FIELD_INVALID",
        headers: { "accept-encoding": "gzip" },
      },
    },
  },
  {
    name: "an unknown compression in a query",
    call: { compression: "zstd" },
    answers: {
      ...none,
      "Connect GET": {
        status: 501,
        code: "Unimplemented",
        headers: { "accept-encoding": "gzip,br", vary: "accept-encoding" },
      },
    },
  },
  {
    name: "a compression in upper case",
    call: { ...create, compression: "GZIP" },
    answers: { ...ok, "Connect GET": undefined },
  },
  {
    name: "a compression in upper case in a query",
    call: { compression: "GZIP" },
    answers: { ...none, "Connect GET": ok["Connect GET"] },
  },
  {
    name: "a deadline that has passed",
    sent: timeouts("1n", "0", "0.000001"),
    answers: alike("DeadlineExceeded", "DEADLINE_EXCEEDED", [504, 504]),
  },
  { name: "a malformed deadline", sent: timeouts("soon", "soon", "soon"), answers: invalid },
  {
    name: "an empty body with a content type",
    call: create,
    sent: { body: "" },
    answers: {
      ...invalid,
      // A gRPC call without a message has the wrong number of messages, which is UNIMPLEMENTED.
      gRPC: { status: 200, code: "Unimplemented" },
      "gRPC-Web": { status: 200, code: "Unimplemented" },
      "Connect GET": undefined,
    },
  },
  {
    name: "an empty body with the content type of a form",
    sent: (protocol) =>
      protocol === "REST"
        ? {
            verb: "POST",
            target: `/session/v1/sessions/${id}:extend`,
            headers: { "content-type": "application/x-www-form-urlencoded" },
            body: "",
          }
        : {},
    answers: { ...none, REST: ok.REST },
  },
  {
    name: "a target in absolute form",
    sent: (_, { target }) => ({ target: `http://elsewhere.example${target}` }),
    answers: { ...ok, gRPC: undefined },
  },
  {
    name: "a target in absolute form with a scheme in upper case",
    sent: (_, { target }) => ({ target: `HTTPS://me@elsewhere.example:8443${target}` }),
    answers: { ...ok, gRPC: undefined },
  },
  { name: "no Host", sent: { host: null }, answers: { ...badHost, gRPC: undefined } },
  { name: "an empty Host", sent: { host: "" }, answers: { ...badHost, gRPC: undefined } },
  { name: "a Host that is not one", sent: { host: "[" }, answers: badHost },
  { name: "a Host with a user", sent: { host: "me@a" }, answers: { ...badHost, gRPC: undefined } },
  {
    name: "a list of addresses, which C-core sends as :authority",
    sent: { host: "127.0.0.1:1,127.0.0.1:2" },
    answers: ok,
  },
  {
    name: "an escaped list of addresses",
    sent: { host: "127.0.0.1:1%2C127.0.0.1:2" },
    answers: ok,
  },
  {
    name: "the escaped path of a Unix socket as Host",
    sent: { host: "%2Frun%2Fsessiond.sock" },
    answers: ok,
  },
  {
    name: "a stream",
    call: { method: "watch", message: {} },
    answers: streams,
  },
];

/** Headers that are absent from an answer unless its row names them. */
const absent = {
  allow: undefined,
  vary: undefined,
  "www-authenticate": undefined,
  "cache-control": undefined,
  "x-accel-buffering": undefined,
};

describe.each(rows)("$name", ({ call, sent, answers }) => {
  test.each(protocols.filter((protocol) => answers[protocol] !== undefined))("%s", async (protocol) => {
    const regular = requestOf(protocol, { method: "get", message: { id }, ...call });
    const changed = typeof sent === "function" ? sent(protocol, regular) : sent;
    const headers = { authorization, ...regular.headers, ...changed?.headers };
    if (headers.authorization === "") Reflect.deleteProperty(headers, "authorization");
    const verdict = await verdictOf(service.port, protocol, { ...regular, ...changed, headers });
    const answer = answers[protocol];
    const expected = {
      reason: undefined,
      code: undefined,
      headers: {},
      plainReason: answer?.reason,
      ...answer,
    };
    const domain = expected.reason === undefined ? undefined : "sessiond";
    expect({ ...verdict, headers: { ...absent, ...verdict.headers } }).toMatchObject({
      ...expected,
      domain,
      headers: { ...absent, ...expected.headers },
    });
  });
});

// HAProxy's `option httpchk` sends HTTP/1.0 without Host, by default with OPTIONS.
test.each([
  ["GET /livez", 200],
  ["OPTIONS /", 404],
  ["GET /session.v1.SessionService/Nothing", 404],
  [`GET /session/v1/projects/${service.projectId}/jwks`, 200],
  [`GET /session.v1.ProjectService/GetJwks?encoding=json&message=${getJwks}`, 200],
])("%s of HTTP/1.0 without Host is answered with %i", async (line, status) => {
  const socket = connect(service.port, "127.0.0.1").setEncoding("latin1");
  socket.write(`${line} HTTP/1.0\r\n\r\n`);
  expect(await text(socket)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
});
