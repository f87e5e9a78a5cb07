import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ShelfServer, terse } from "./shelf-server.ts";

let server: ShelfServer;
let lenient: ShelfServer;
beforeAll(async () => {
  server = await ShelfServer.start();
  lenient = await ShelfServer.start({
    dialect: { ...terse, unknownQueryParameters: "ignore", unknownMembers: "ignore" },
  });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await lenient[Symbol.asyncDispose]();
});

const status = async (method: string, path: string, body?: string): Promise<number> =>
  (await server.ask(method, path, body === undefined ? {} : { body })).status;

describe("path", () => {
  test.each([
    ["/v1/books/a%2Fb", { name: "a/b" }],
    ["/v1/books/a+b", { name: "a+b" }],
    ["/v1/books/%252F", { name: "%2F" }],
    ["/v1/books/..", { name: ".." }],
    ["/v1/books/.", { name: "." }],
    ["/v1/books/a%3Arevoke", { name: "a:revoke" }],
    ["/v1/books/a:unknown", { name: "a:unknown" }],
    ["/v1/books/special", { note: "special" }],
    ["/v1/books/%73pecial", { name: "special" }],
    ["/v1/publishers/p/books/b", { name: "b", publisher: { name: "publishers/p" } }],
    ["/v1/publishers/p%2Fq%41/books/b%2F", { name: "b/", publisher: { name: "publishers/p%2FqA" } }],
  ])("%s binds", async (path, expected) => {
    expect(await server.json("GET", path)).toEqual(expected);
  });

  test.each([
    ["/v1/files/a/b//c/", "a/b//c/"],
    ["/v1/files", ""],
    ["/v1/files/", ""],
    ["/v1/files/../../etc/passwd", "../../etc/passwd"],
    ["/v1/files/a%2Fb/%C3%BC", "a%2Fb/ü"],
  ])("%s gives a multi-segment capture", async (path, expected) => {
    expect((await server.ask("GET", path)).text).toBe(expected);
  });

  test.each(["/v1/books/%", "/v1/books/%zz", "/v1/books/%FF", "/v1/books/a%00b", "/v1/files/a/%C3"])(
    "%s is 400",
    async (path) => {
      const answer = await server.ask("GET", path);
      expect(answer.status).toBe(400);
      expect(answer.text).toContain("path");
    },
  );

  test.each(["/v1/books/", "/v1//books", "//v1/books", "/v1/books/x/", "/v1/Books", "/v1", "/"])(
    "%s is 404",
    async (path) => {
      expect(await status("GET", path)).toBe(404);
    },
  );

  test("absolute form loses its origin", async () => {
    expect(await server.json("GET", "http://[/v1/books/a?pages=1")).toEqual({ name: "a", pages: 1 });
  });
});

describe("precedence", () => {
  test("the path wins over the body, and the body over the query", async () => {
    const body = `{"name": "body", "note": "body"}`;
    expect(await server.json("PATCH", "/v1/books/path?name=query&note=query", { body })).toEqual({
      name: "path",
      note: "body",
    });
  });

  test("the path wins over the query", async () => {
    expect(await server.json("GET", "/v1/books/path?name=query&pages=1")).toEqual({ name: "path", pages: 1 });
  });

  test("a oneof member in the path wins over another one in the body", async () => {
    const body = `{"token": "someone else's"}`;
    expect(await server.json("POST", "/v1/targets/mine:revoke", { body })).toEqual({ id: "mine" });
  });

  test("a oneof member in the query next to another one in the path is refused", async () => {
    expect(await status("POST", "/v1/targets/mine:drop?token=other")).toBe(400);
    expect(await server.json("POST", "/v1/targets/mine:drop?id=other")).toEqual({ id: "mine" });
  });

  test("a body field wins over its query parameters, other fields are the query's", async () => {
    const ask = { body: `{"name": "body"}` };
    expect(await server.json("PUT", "/v1/books/n/publisher?publisher.city_name=query&pages=1", ask)).toEqual({
      name: "body",
    });
  });

  test("with the whole message as body, a parameter that would have no effect is refused", async () => {
    expect(await status("PATCH", "/v1/books/n?note=query", `{"pages": 1}`)).toBe(400);
    expect(await status("PATCH", "/v1/books/n?nope=1", "{}")).toBe(400);
    const answer = await lenient.json("PATCH", "/v1/books/n?note=query&nope=1", { body: `{"pages": 1}` });
    expect(answer).toEqual({ name: "n", pages: 1 });
  });
});

describe("query", () => {
  test.each([
    ["note=a+b%2B%26%3D", { note: "a b+&=" }],
    ["note=", { note: "" }],
    ["note", { note: "" }],
    ["&&note=x&", { note: "x" }],
    ["note=a=b", { note: "a=b" }],
    ["note=..%2F", { note: "../" }],
    ["tags=x&tags=y&tags=", { tags: ["x", "y", ""] }],
    ["publisher.name=n&publisher.cityName=c", { publisher: { name: "n", cityName: "c" } }],
    ["publisher.city_name=c", { publisher: { cityName: "c" } }],
    ["publisher.parent.parent.name=deep", { publisher: { parent: { parent: { name: "deep" } } } }],
    ["owner.name=o&owner.mail=m", { owner: { name: "o", mail: "m" } }],
    [
      "genre=GENRE_POEM&genres=1&genres=GENRE_POEM",
      { genre: "GENRE_POEM", genres: ["GENRE_NOVEL", "GENRE_POEM"] },
    ],
    ["pages=-7&count=4294967295", { pages: -7, count: 4294967295 }],
    ["pages=1e2&count=1.0&stock=1e2", { pages: 100, count: 1, stock: "100" }],
    ["genre=1e0&serial=1e18", { genre: "GENRE_NOVEL", serial: "1000000000000000000" }],
    ["serial=9007199254740993", { serial: "9007199254740993" }],
    ["unsigned=18446744073709551615", { unsigned: "18446744073709551615" }],
    ["numbers=1&numbers=-2", { numbers: ["1", "-2"] }],
    ["lent=true", { lent: true }],
    ["lent=false", {}],
    ["weight=-1.5e3&width=0.5", { weight: -1500, width: 0.5 }],
    ["weight=NaN&width=-Infinity", { weight: "NaN", width: "-Infinity" }],
    ["cover=-_8=", { cover: "+/8=" }],
    ["cover=-_8", { cover: "+/8=" }],
    ["cover=%2B/8=", { cover: "+/8=" }],
    ["cover=+/8=", { cover: "+/8=" }],
    ["seal=AAE", { seal: "AAE=" }],
    ["printed=2024-02-29T12:00:00.5Z", { printed: "2024-02-29T12:00:00.500Z" }],
    ["printed=2024-01-01T00:00:00%2B01:00", { printed: "2023-12-31T23:00:00Z" }],
    [
      "lendings=1970-01-01T00:00:00Z&lendings=1970-01-01T00:00:01Z",
      { lendings: ["1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z"] },
    ],
    ["loan=1.5s", { loan: "1.500s" }],
    ["loan=-0.5s", { loan: "-0.500s" }],
    ["mask=name,publisher.cityName", { mask: "name,publisher.cityName" }],
    ["mask=publisher.city_name", { mask: "publisher.cityName" }],
    ["subtitle=&stock=0&signed=false", { subtitle: "", stock: "0", signed: false }],
    ["id=", { id: "" }],
  ])("?%s binds", async (query, expected) => {
    expect(await server.json("GET", `/v1/books?${query}`)).toEqual(expected);
  });

  test.each([
    ["nope=1", "unknown parameter"],
    ["Note=1", "unknown parameter"],
    ["publisher.nope=1", "unknown parameter"],
    ["__proto__=1", "unknown parameter"],
    ["constructor.name=1", "unknown parameter"],
    ["note=a&note=b", "more than once"],
    ["publisher.city_name=a&publisher.cityName=b", "more than once"],
    ["lent=true&lent=true", "more than once"],
    ["id=a&token=b", `excludes \\"id\\"`],
    ["owner.name=a&id=b", `excludes \\"owner\\"`],
    ["publisher.phone=1&publisher.mail=2", `excludes \\"phone\\"`],
    ["publisher=x", "no form as text"],
    ["extra=x", "no form as text"],
    ["extra.fields=x", "no"],
    ["any=x", "no form as text"],
    ["labels=x", "no form as text"],
    ["labels.a=x", "cannot lead through"],
    ["printers.name=x", "cannot lead through"],
    ["printed.seconds=1", "cannot lead through"],
    ["name.x=1", "cannot lead through"],
    ["pages=0x10", "expected an integer"],
    ["pages=+1", "expected an integer"],
    ["pages=%201", "expected an integer"],
    ["pages=", "expected an integer"],
    ["pages=2147483648", "out of range"],
    ["count=-1", "out of range"],
    ["serial=9223372036854775808", "out of range"],
    ["serial=0x10", "expected an integer"],
    ["unsigned=-1", "out of range"],
    ["weight=1e400", "expected a number"],
    ["weight=0x1", "expected a number"],
    ["weight=", "expected a number"],
    ["width=1e39", "out of range"],
    ["lent=1", "expected true or false"],
    ["lent=TRUE", "expected true or false"],
    ["lent=", "expected true or false"],
    ["genre=GENRE_DRAMA", "value of the enum Genre"],
    ["genre=genre_poem", "value of the enum Genre"],
    ["genre=", "value of the enum Genre"],
    ["genre=2147483648", "out of range"],
    ["cover=a", "base64"],
    ["cover=ab%0Acd", "base64"],
    ["cover=ab=c", "base64"],
    ["cover=AB", "base64"],
    ["cover=AAF", "base64"],
    ["cover=AB==", "base64"],
    ["cover=AAE==", "base64"],
    ["printed=2024-02-30T00:00:00Z", "RFC 3339"],
    ["printed=2024-01-01", "RFC 3339"],
    ["printed=1704067200", "RFC 3339"],
    ["printed=2024-01-01T24:00:00Z", "RFC 3339"],
    ["printed=0000-01-01T00:00:00Z", "from year 0001 on"],
    ["loan=1", "seconds"],
    ["loan=1sfoo", "seconds"],
    ["loan=1.1234567890s", "seconds"],
    ["loan=999999999999s", "up to 315576000000s"],
    ["mask=a,,b", "field paths"],
    ["note=%zz", "percent-encoded"],
    ["note=%C3", "percent-encoded"],
    ["note=%00", "percent-encoded"],
    ["%zz=1", "percent-encoded"],
  ])("?%s is 400", async (query, reason) => {
    const answer = await server.ask("GET", `/v1/books?${query}`);
    expect(answer.text).toContain(reason);
    expect(answer.status).toBe(400);
  });

  test("a dialect may ignore unknown parameters, but not invalid ones", async () => {
    expect(await lenient.json("GET", "/v1/books?nope=1&publisher.nope=2&note=x")).toEqual({ note: "x" });
    expect((await lenient.ask("GET", "/v1/books?publisher=x")).status).toBe(400);
    expect((await lenient.ask("GET", "/v1/books?note=a&note=b")).status).toBe(400);
  });

  test("a refusal names the parameter but does not repeat its value", async () => {
    const answer = await server.ask("GET", "/v1/books?serial=s3cret&note=x");
    expect(answer.text).toContain("serial");
    expect(answer.text).not.toContain("s3cret");
  });

  test("text is transferred unchanged (property)", async () => {
    const text = fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\0"));
    await fc.assert(
      fc.asyncProperty(text, fc.array(text, { minLength: 1, maxLength: 3 }), async (note, tags) => {
        const query = new URLSearchParams({ note });
        for (const tag of tags) query.append("tags", tag);
        expect(await server.json("GET", `/v1/books?${query.toString()}`)).toEqual({ note, tags });
      }),
      { numRuns: 40 },
    );
  });

  test("64-bit integers are transferred exactly (property)", async () => {
    await fc.assert(
      fc.asyncProperty(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), async (serial) => {
        const answer = await server.json("GET", `/v1/books?serial=${serial}`);
        expect(answer).toEqual(serial === 0n ? {} : { serial: serial.toString() });
      }),
      { numRuns: 40 },
    );
  });
});
