import { create, createRegistry } from "@bufbuild/protobuf";
import { HttpRuleSchema } from "../../../gen/google/api/http_pb.ts";
import { gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PublisherSchema } from "./gen/shelf/v1/shelf_pb.ts";
import { type Answer, ShelfServer, terse } from "./shelf-server.ts";

let server: ShelfServer;
let lenient: ShelfServer;
beforeAll(async () => {
  const registry = createRegistry(PublisherSchema);
  server = await ShelfServer.start({ readMaxBytes: 100_000, registry, dialect: { write: { registry } } });
  lenient = await ShelfServer.start({ dialect: { ...terse, unknownMembers: "ignore" } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await lenient[Symbol.asyncDispose]();
});

const patch = (body: string | Uint8Array, to: ShelfServer = server): Promise<Answer> =>
  to.ask("PATCH", "/v1/books/n", { body });

describe("a body that is the whole message", () => {
  const wrap = (open: string, close: string, depth: number) => open.repeat(depth) + close.repeat(depth);

  // Expects the JSON of the body itself if nothing else is given.
  test.each<[body: string, expected?: object]>([
    ["", {}],
    ["{}"],
    [" \n{ } "],
    ["\ufeff{}", {}],
    [`{"name": "overridden"}`, {}],
    [`{"note": null, "id": null, "token": "t", "tags": null}`, { token: "t" }],
    [`{"publisher": {"city_name": "c"}}`, { publisher: { cityName: "c" } }],
    [`{"serial": 9007199254740993}`, { serial: "9007199254740993" }],
    [
      `{"serial": -9223372036854775808, "unsigned": 18446744073709551615}`,
      { serial: "-9223372036854775808", unsigned: "18446744073709551615" },
    ],
    [`{"numbers": [9007199254740993, "1"]}`, { numbers: ["9007199254740993", "1"] }],
    [`{"stock": 9007199254740993}`, { stock: "9007199254740993" }],
    [`{"weight": 12345678901234567890}`, { weight: 12345678901234567000 }],
    [`{"pages": 1e2, "serial": "1", "genre": 2e0}`, { pages: 100, serial: "1", genre: "GENRE_POEM" }],
    [`{"genre": 2, "genres": ["GENRE_NOVEL", 99]}`, { genre: "GENRE_POEM", genres: ["GENRE_NOVEL", 99] }],
    [`{"labels": {"a": "b", "__proto__": "c"}}`],
    [`{"extra": {"a": [null, 1, 9007199254740994, 1e23, 0.1, {"b": "c"}]}}`],
    [`{"value": null}`],
    [`{"any": {"@type": "type.googleapis.com/shelf.v1.Publisher", "name": "p"}}`],
    [`{"printed": "2024-02-29T00:00:00Z", "loan": "3s", "mask": "a,bC"}`],
    [`{"note": "\\ud83d\\udcda"}`, { note: "📚" }],
    // Keys that repeat only in text or at another level.
    [`{"publisher": {"name": "a"}, "note": "{\\"note\\": \\"note\\", \\"note\\""}`],
    [`{"extra": {"name": ["name", "name"], "x": "name"}}`],
    [`{"extra": {"a": ${wrap("[", "]", 40)}}}`],
  ])("%s binds", async (body, expected) => {
    const answer = await patch(body);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toEqual({ name: "n", ...(expected ?? JSON.parse(body)) });
  });

  test.each<[body: string | Buffer, reason: string]>([
    ["{", "not JSON"],
    ["name=n", "not JSON"],
    ["{} {}", "not JSON"],
    [`{"note": 'x'}`, "not JSON"],
    ["null", "expected a JSON object"],
    ["[]", "expected a JSON object"],
    ["1", "expected a JSON object"],
    [`{"nope": 1}`, `body, \\"nope\\": unknown member`],
    [`{"publisher": {"parent": {"nope": 1}}}`, "publisher.parent.nope"],
    [`{"printers": [{}, {"nope": 1}]}`, "printers[1].nope"],
    [`{"note": 1}`, "note"],
    [`{"lent": "true"}`, "true or false"],
    [`{"lent": 1}`, "true or false"],
    [`{"weight": "0x10"}`, "expected a number"],
    [`{"genre": "GENRE_DRAMA"}`, "value of the enum Genre"],
    [`{"genre": 1.5}`, "value of the enum Genre"],
    [`{"genres": ["GENRE_DRAMA"]}`, "genres[0]"],
    [`{"tags": "x"}`, "expected an array"],
    [`{"tags": [null]}`, "tags[0]"],
    [`{"labels": []}`, "labels"],
    [`{"labels": {"a": 1}}`, "labels.a"],
    [`{"publisher": "x"}`, "publisher"],
    [`{"cover": "a b="}`, "base64"],
    [`{"cover": "AB"}`, "base64"],
    [`{"cover": "AAF="}`, "base64"],
    [`{"loan": "1sfoo"}`, "seconds"],
    [`{"loan": "1.1234567890s"}`, "seconds"],
    [`{"printed": "2024-02-30T00:00:00Z"}`, "RFC 3339"],
    [`{"any": {"@type": "type.googleapis.com/no.Such"}}`, "unknown type"],
    [`{"any": {"@type": "type.googleapis.com/shelf.v1.Publisher", "nope": 1}}`, "any.nope"],
    [`{"id": "a", "token": "b"}`, "excludes"],
    [`{"city": 1, "publisher": {"cityName": "a", "city_name": "b"}}`, "400"],
    [`{"publisher": {"cityName": "a", "city_name": "b"}}`, "given twice"],
    [`{"note": "a\\u0000b"}`, "NUL"],
    [`{"labels": {"a\\u0000": "b"}}`, "NUL"],
    [`{"extra": {"a": "\\u0000"}}`, "NUL"],
    [`{"note": "\\ud800"}`, "surrogate"],
    [Buffer.from(`{"note": "\xff"}`, "latin1"), "UTF-8"],
    [`{"note": "a", "note": "b"}`, `note\\": the key is given twice`],
    [`{"publisher": {"name": "a", "name": "b"}}`, `name\\": the key is given twice`],
    [`{"note": "a", "n\\u006fte": "b"}`, `note\\": the key is given twice`],
    [`{"printers": [{"name": "a", "name": "b"}]}`, `name\\": the key is given twice`],
    [`{"extra": {"x": [{"name": 1, "name": 2}]}}`, `name\\": the key is given twice`],
    [`{"token": "s3cret"`, "not JSON"],
    [`s3cret`, "not JSON"],
    [`{"pages": "s3cret"}`, "pages"],
    [`{"publisher": "s3cret"}`, "publisher"],
    [`{"genre": "s3cret"}`, "genre"],
    [`{"serial": "99999999999999999999"}`, "serial"],
    [`{"labels": {"a": ["s3cret"]}}`, "labels.a"],
    [`{"extra": {"a": [9007199254740993]}}`, `extra.a[0]\\": a number that a double cannot hold`],
    [`{"publisher": 9007199254740993}`, "expected a JSON object"],
    [`{"value": 1e-999}`, "a number that a double cannot hold"],
    [`{"note": 9007199254740993}`, "expected a string"],
    [`{"genre": 1e-1}`, "value of the enum Genre"],
    [`{"genre": 9007199254740993}`, "genre"],
    [`{"extra": []}`, `extra\\": expected a JSON object`],
    [`{"extra": "s3cret"}`, `extra\\": expected a JSON object`],
    [`{"pages": 2147483648}`, "expected an integer from -2147483648 to 2147483647"],
    [`{"genre": 2147483648}`, "expected an integer from -2147483648 to 2147483647"],
    [`{"loan": "315576000001s"}`, "up to 315576000000s"],
    [`{"printed": "0000-01-01T00:00:00Z"}`, "from year 0001 on"],
  ])("%s is 400, without its values", async (body, reason) => {
    const answer = await patch(body);
    expect(answer.status).toBe(400);
    expect(`400 ${answer.text}`).toContain(reason);
    expect(answer.text).not.toMatch(/s3cret|9999/);
  });

  test("refuses an unknown enum name if unknown members are ignored", async () => {
    expect((await patch(`{"nope": 1, "genre": "GENRE_DRAMA"}`, lenient)).status).toBe(400);
    expect((await patch(`{"genres": ["GENRE_DRAMA"]}`, lenient)).status).toBe(400);
    const answer = await patch(`{"nope": {"deep": [1]}, "publisher": {"nope": 1, "name": "p"}}`, lenient);
    expect(JSON.parse(answer.text)).toEqual({ name: "n", publisher: { name: "p" } });
  });

  test.each([
    ["an array", wrap("[", "]", 40_000), "nested"],
    ["an open array", "[".repeat(90_000), "not JSON"],
    ["a Struct", `{"extra": ${wrap(`{"a":`, "}", 1000).replace("}", "1}")}}`, "nested"],
    ["a message", `{"publisher": ${wrap(`{"parent":`, "}", 101).replace("}", "{}}")}}`, "nested"],
    [
      "an array beside a large integer",
      `{"nope": 1234567890123456789, "extra": {"a": ${wrap("[", "]", 20_000)}}}`,
      "nested",
    ],
  ])("refuses deep nesting without a stack overflow: %s", async (_name, body, reason) => {
    const answer = await patch(body);
    expect(answer.status).toBe(400);
    expect(answer.text).toContain(reason);
  });

  test("answers 200 or 400 to any JSON (property)", async () => {
    const keys = "note pages serial tags publisher genre labels extra any printed value".split(" ");
    const book = fc.dictionary(fc.constantFrom(...keys), fc.jsonValue({ maxDepth: 3 }));
    await fc.assert(
      fc.asyncProperty(book, async (book) => {
        expect([200, 400]).toContain((await patch(JSON.stringify(book))).status);
      }),
      { numRuns: 100 },
    );
  });
});

describe("a body that is one field", () => {
  test("a message, a list, and the same field as the answer", async () => {
    const put = (path: string, body: string): Promise<unknown> => server.json("PUT", path, { body });
    expect(await put("/v1/books/n/publisher", `{"name": "p"}`)).toEqual({ name: "p" });
    expect(await put("/v1/books/n/tags", `["a", "b"]`)).toEqual(["a", "b"]);
    expect(await put("/v1/books/n/tags", "[]")).toEqual([]);
    expect(await put("/v1/books/n/tags", "")).toEqual([]);
    expect(await put("/v1/books/n/publisher", "")).toBeNull();
    expect(await put("/v1/books/n/publisher", "null")).toBeNull();
    expect(await put("/v1/books/n/publisher?publisher.name=q", "")).toEqual({ name: "q" });
  });

  test("errors name the place from the message down", async () => {
    expect((await server.ask("PUT", "/v1/books/n/tags", { body: `["a", 1]` })).text).toContain("tags[1]");
    expect((await server.ask("PUT", "/v1/books/n/publisher", { body: `{"x": 1}` })).text).toContain(
      "publisher.x",
    );
  });
});

describe("no body rule", () => {
  test("any body on GET and DELETE is ignored", async () => {
    const ask = { body: "{{{", headers: { "content-type": "text/plain" } };
    expect((await server.ask("GET", "/v1/books/n", ask)).status).toBe(200);
    expect((await server.ask("DELETE", "/v1/books/n", ask)).status).toBe(204);
  });

  test("DELETE may have a body rule", async () => {
    expect(await server.json("DELETE", "/v1/books", { body: `{"note": "x"}` })).toEqual({ note: "x" });
  });
});

describe("content type", () => {
  const post = (type: string | undefined, path = "/v1/books"): Promise<Answer> =>
    server.ask("POST", path, { body: "{}", headers: type === undefined ? {} : { "content-type": type } });

  const json = [
    undefined,
    "application/json",
    "Application/JSON",
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    `application/json; charset="utf-8"`,
    "application/json ; Charset=utf8 ; x=y",
  ];
  const others = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/json; charset=utf-16",
    "application/jsonp",
    "application/proto",
    "multipart/form-data; boundary=x",
    ";",
  ];
  test.each([...json.map((type) => [type, 201] as const), ...others.map((type) => [type, 415] as const)])(
    "%s is answered with %i",
    async (type, status) => {
      expect((await post(type)).status).toBe(status);
    },
  );

  test.each(["text/plain", "application/x-www-form-urlencoded"])(
    "%s is ignored on a route without a body rule and with an empty body",
    async (type) => {
      expect((await post(type, "/v1/targets/x:drop")).status).toBe(200);
      const answer = await server.ask("POST", "/v1/books", { headers: { "content-type": type } });
      expect([answer.status, answer.text]).toEqual([201, "{}"]);
    },
  );
});

describe("gzip and limits", () => {
  const gzip = { "content-encoding": "gzip" };
  const send = (body: string | Uint8Array, headers: Record<string, string> = {}): Promise<Answer> =>
    server.ask("POST", "/v1/books", { body, headers });

  const large = JSON.stringify({ note: "x".repeat(100_000) });
  const fit = JSON.stringify({ note: "x".repeat(90_000) });

  test("inflates gzip", async () => {
    expect(JSON.parse((await send(gzipSync(`{"note": "x"}`), gzip)).text)).toEqual({ note: "x" });
  });

  test.each<[name: string, status: number, body: string | Uint8Array, headers?: Record<string, string>]>([
    ["an empty body as gzip", 201, "", gzip],
    ["identity", 201, "{}", { "content-encoding": "identity" }],
    ["bytes that are not gzip", 400, "{}", gzip],
    ["truncated gzip", 400, gzipSync("{}").subarray(0, -4), gzip],
    ["a body within the limit", 201, fit],
    ["gzip within the limit", 201, gzipSync(fit), gzip],
    ["a body over the limit", 413, large],
    ["chunks over the limit", 413, large, { "transfer-encoding": "chunked" }],
    ["gzip over the limit", 413, gzipSync(large), gzip],
  ])("%s is %i", async (_name, status, body, headers) => {
    expect((await send(body, headers)).status).toBe(status);
  });

  test.each([{}, { "content-length": undefined }])(
    "over the limit is 413 over HTTP/2: %j",
    async (headers) => {
      expect((await server.ask("POST", "/v1/books", { body: large, headers }, "HTTP/2")).status).toBe(413);
    },
  );

  test("another encoding is 415 and names gzip", async () => {
    const answer = await send("{}", { "content-encoding": "br" });
    expect([answer.status, answer.headers["accept-encoding"]]).toEqual([415, "gzip"]);
  });
});

describe("google.api.HttpBody", () => {
  const bytes = Buffer.from([0, 255, 10, 13]);
  const png = { "content-type": "image/png" };

  test("is passed on unchanged with any content type", async () => {
    const answer = await server.ask("POST", "/v1/echo", { body: bytes, headers: png });
    expect(answer.headers["content-type"]).toBe("image/png");
    expect(answer.bytes.equals(bytes)).toBe(true);
  });

  test("has application/octet-stream by default", async () => {
    const answer = await server.ask("POST", "/v1/echo", { body: bytes });
    expect(answer.headers["content-type"]).toBe("application/octet-stream");
    expect((await server.ask("POST", "/v1/echo")).text).toBe("");
  });

  test("can be one field beside path and query", async () => {
    const headers = { "content-type": "text/csv" };
    expect(await server.json("PUT", "/v1/files/a/b?note=x", { body: bytes, headers })).toEqual({
      path: "a/b",
      note: "x",
      file: { contentType: "text/csv", data: bytes.toString("base64") },
    });
  });

  test("can be the field that is the whole answer", async () => {
    const rule = create(HttpRuleSchema, {
      selector: "shelf.v1.ShelfService.PutFile",
      pattern: { case: "put", value: "/v1/files/{path=**}" },
      body: "file",
      responseBody: "file",
    });
    await using server = await ShelfServer.start({ rules: [rule] });
    const answer = await server.ask("PUT", "/v1/files/a", { body: bytes, headers: png });
    expect(answer.headers["content-type"]).toBe("image/png");
    expect(answer.bytes.equals(bytes)).toBe(true);
  });
});
