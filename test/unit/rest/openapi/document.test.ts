import { type JsonObject, type MessageInitShape, create, toJson } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { type HttpRule, HttpRuleSchema } from "../../../../gen/google/api/http_pb.ts";
import type { Dialect } from "../../../../src/rest/dialect.ts";
import { openApiDocument } from "../../../../src/rest/openapi/document.ts";
import { collectBindings } from "../../../../src/rest/routes/http-rules.ts";
import { compileRoute } from "../../../../src/rest/routes/route.ts";
import { BookSchema, Genre, ShelfService } from "../gen/shelf/v1/shelf_pb.ts";

/** The methods whose routes OpenAPI cannot express. */
const inexpressible = ["GetFile", "PutFile", "AnyMethod"];

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { name: string; in: string; required?: true; schema: JsonObject }[];
  readonly requestBody?: { required: boolean; content: Record<string, { schema?: JsonObject }> };
  readonly responses: Record<string, { content?: Record<string, { schema?: JsonObject }> }>;
}

interface Described {
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { schemas: Record<string, { properties: Record<string, JsonObject> }> };
}

function describeShelf(
  methods: (name: string) => boolean,
  dialect: Dialect = {},
  rules: readonly HttpRule[] = [],
): JsonObject & Described {
  const routes = collectBindings([ShelfService], rules)
    .filter(({ method }) => methods(method.name))
    .map(compileRoute);
  const document = openApiDocument(routes, {
    title: "Shelf",
    version: "v1",
    description: "Books.",
    dialect,
    securitySchemes: { key: { type: "apiKey", in: "header", name: "key" } },
    security: ({ name }) => (name === "GetBook" ? [] : [{ key: [] }]),
    errors: { 404: { description: "No such book." }, default: { description: "Other." } },
    statuses: ({ name }) => (name === "GetBook" ? ["404", "default"] : ["default"]),
    errorSchema: (schemas) => schemas.component("Error", "error", () => ({ type: "object" })),
  });
  return document as JsonObject & Described;
}

const shelf = describeShelf((name) => !inexpressible.includes(name));
const operation = (path: string, method: string): Operation => {
  const found = shelf.paths[path]?.[method];
  if (found === undefined) throw new Error(`no ${method} ${path}`);
  return found;
};
const namesOf = ({ parameters = [] }: Operation, place: string) =>
  parameters.filter((parameter) => parameter.in === place).map(({ name }) => name);
const bodyOf = (one: Operation): string[] => {
  const reference = one.requestBody?.content["application/json"]?.schema?.["$ref"];
  const name = typeof reference === "string" ? (reference.split("/").at(-1) ?? "") : "";
  return Object.keys(shelf.components.schemas[name]?.properties ?? {});
};

/** Checks JSON against a component of the document. */
function accepts(name: string, document = shelf) {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(document, "document");
  const validate = ajv.compile({ $ref: `document#/components/schemas/${name}` });
  return (json: unknown) => validate(json);
}

test("the document is valid OpenAPI 3.1, with proto names too", async () => {
  const withProtoNames = describeShelf((name) => name === "CreateBook", {
    write: { useProtoFieldName: true },
  });
  expect(Object.keys(withProtoNames.components.schemas["Publisher"]?.properties ?? {})).toContain(
    "city_name",
  );
  for (const document of [shelf, withProtoNames]) {
    expect(await new Validator().validate(structuredClone(document))).toMatchObject({ valid: true });
  }
});

describe("paths", () => {
  test("have verbs, nested variables and the literals within a variable", () => {
    expect(Object.keys(shelf.paths)).toEqual(
      expect.arrayContaining([
        "/v1/books/{name}:revoke",
        "/v1/targets/{id}:drop",
        "/v1/publishers/{publisher.name}/books/{name}",
      ]),
    );
    const nested = operation("/v1/publishers/{publisher.name}/books/{name}", "get");
    expect(namesOf(nested, "path")).toEqual(["publisher.name", "name"]);
    expect(nested.operationId).toBe("GetBook2");
    expect(namesOf(nested, "query").filter((name) => name.startsWith("publisher."))).toEqual([
      "publisher.cityName",
      "publisher.phone",
      "publisher.mail",
    ]);
  });

  test.each(inexpressible)("of %s are refused", (method) => {
    expect(() => describeShelf((name) => name === method)).toThrow(/\/v1\//);
  });
});

describe("query parameters", () => {
  const list = operation("/v1/books", "get");
  const schemaOf = (name: string) => list.parameters?.find((parameter) => parameter.name === name)?.schema;

  test("are the fields with a form as text, also those of messages, but not of messages within themselves", () => {
    const names = namesOf(list, "query");
    expect(names).toEqual(
      expect.arrayContaining(["name", "publisher.cityName", "owner.mail", "tags", "stock"]),
    );
    const others = ["labels", "extra", "any", "printers", "value", "publisher", "publisher.parent.name"];
    expect(names.filter((name) => others.includes(name))).toEqual([]);
    expect(list.requestBody).toBeUndefined();
  });

  test("have the types of their fields", () => {
    const genre = { $ref: "#/components/schemas/Genre" };
    expect(schemaOf("genres")).toEqual({ type: "array", items: genre });
    expect(schemaOf("serial")).toMatchObject({ type: "string", format: "int64" });
    expect(schemaOf("printed")).toEqual({ type: "string", format: "date-time" });
    expect(schemaOf("loan")).toMatchObject({ type: "string", pattern: expect.stringContaining("s$") });
    expect(schemaOf("subtitle")).toEqual({ type: "string" });
    expect(schemaOf("cover")).toEqual({ type: "string", contentEncoding: "base64" });
    expect(list.parameters).toContainEqual(
      expect.objectContaining({ name: "id", description: "Excludes `token` and `owner`." }),
    );
  });

  test("exclude what the path and the body set", () => {
    const put = operation("/v1/books/{name}/publisher", "put");
    expect(namesOf(put, "path")).toEqual(["name"]);
    expect(namesOf(put, "query")).toContain("pages");
    expect(namesOf(put, "query").filter((name) => /^(name|publisher)/.test(name))).toEqual([]);
    expect(namesOf(operation("/v1/books", "post"), "query")).toEqual([]);
  });
});

describe("bodies", () => {
  test("exclude what the path sets, with the other members of its oneof", () => {
    const fields = bodyOf(operation("/v1/books", "post"));
    expect(fields).toHaveLength(BookSchema.fields.length);
    const without = (names: string[]) => fields.filter((name) => !names.includes(name));
    expect(bodyOf(operation("/v1/books/{name}", "patch"))).toEqual(without(["name"]));
    const revoke = operation("/v1/targets/{id}:revoke", "post");
    expect(bodyOf(revoke)).toEqual(without(["id", "token", "owner"]));
  });

  test("of one field exclude what the path sets within it", () => {
    const rule = create(HttpRuleSchema, {
      selector: "shelf.v1.ShelfService.CreateBook",
      pattern: { case: "patch", value: "/v1/{publisher.name}" },
      body: "publisher",
    });
    const { components } = describeShelf((name) => name === "CreateBook", {}, [rule]);
    const names = Object.keys(components.schemas["CreateBookBody"]?.properties ?? {});
    expect(names).toEqual(["cityName", "parent", "phone", "mail"]);
  });

  test("and answers are one field, raw bytes, nothing, or a stream, as the rule says", () => {
    const answer = (path: string, method: string, status = "200") =>
      operation(path, method).responses[status]?.content;
    const tags = { type: "array", items: { type: "string" } };
    expect(operation("/v1/books/{name}/tags", "put").requestBody?.content).toMatchObject({
      "application/json": { schema: tags },
    });
    expect(answer("/v1/books/{name}/tags", "put")).toEqual({ "application/json": { schema: tags } });
    expect(operation("/v1/echo", "post").requestBody?.content).toEqual({ "*/*": {} });
    expect(answer("/v1/echo", "post")).toEqual({ "*/*": {} });
    expect(operation("/v1/books/{name}", "delete").responses).toHaveProperty("204");
    expect(answer("/v1/books/{name}", "delete", "204")).toBeUndefined();
    expect(answer("/v1/books", "post", "201")).toHaveProperty("application/json");
    expect(Object.keys(answer("/v1/watch/{name}", "get") ?? {})).toEqual([
      "application/x-ndjson",
      "text/event-stream",
    ]);
  });
});

describe("schemas", () => {
  const full: MessageInitShape<typeof BookSchema> = {
    name: "a",
    publisher: { cityName: "b", parent: { name: "c" }, contact: { case: "mail", value: "d" } },
    tags: ["e"],
    genre: Genre.NOVEL,
    genres: [Genre.POEM, Genre.UNSPECIFIED],
    pages: -1,
    serial: -(2n ** 63n),
    unsigned: 2n ** 64n - 1n,
    count: 4_294_967_295,
    weight: Number.NaN,
    width: 1.5,
    cover: new Uint8Array([255]),
    printed: timestampNow(),
    loan: { seconds: -1n, nanos: -500_000_000 },
    mask: { paths: ["a.b_c", "d"] },
    subtitle: "f",
    stock: 7n,
    signed: false,
    target: { case: "owner", value: {} },
    labels: { g: "h" },
    extra: { i: [1, null, { j: true }] },
    value: { kind: { case: "nullValue", value: 0 } },
    numbers: [1n],
  };

  test("of answers accept what the service writes, and require the fields that it always writes", () => {
    const isBook = accepts("Book");
    const empty = toJson(BookSchema, create(BookSchema), { alwaysEmitImplicit: true }) as JsonObject;
    expect(isBook(empty)).toBe(true);
    expect(isBook(toJson(BookSchema, create(BookSchema, full), { alwaysEmitImplicit: true }))).toBe(true);
    expect(isBook({})).toBe(false);
    for (const [name, value] of [
      ["serial", 1],
      ["genre", "GENRE_NONE"],
      ["count", -1],
      ["loan", "1 s"],
      ["tags", [1]],
      ["labels", { g: 1 }],
    ] as const) {
      expect(isBook({ ...empty, [name]: value }), name).toBe(false);
    }
  });

  test("of requests require no field without field_behavior, and refuse two members of a oneof", () => {
    const isRequest = accepts("BookInput");
    expect(isRequest({})).toBe(true);
    expect(isRequest({ id: "a" })).toBe(true);
    expect(isRequest({ id: "a", token: "b" })).toBe(false);
  });
});
