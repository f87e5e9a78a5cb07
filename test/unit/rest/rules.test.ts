import type { MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import type { HttpRule, HttpRuleSchema } from "../../../gen/google/api/http_pb.ts";
import { createTranscoder, transcodedService } from "../../../src/rest/transcoder.ts";
import { ShelfService } from "./gen/shelf/v1/shelf_pb.ts";
import { bare } from "./shelf-server.ts";

type Rule = Exclude<MessageInitShape<typeof HttpRuleSchema>, HttpRule>;
const get = (path: string): Rule => ({ pattern: { case: "get", value: path } });
const post = (path: string): Rule => ({ pattern: { case: "post", value: path } });

describe("createTranscoder refuses, and names the method", () => {
  const faults: [string, Rule, string][] = [
    ["a template outside the grammar", get("/v1/"), "empty segment"],
    ["no pattern", {}, "no pattern"],
    ["an unknown path field", get("/{nope}"), `has no field "nope"`],
    ["a JSON name in a path", get("/{publisher.cityName}"), `has no field "cityName"`],
    ["a repeated path field", get("/{tags}"), "repeated"],
    ["a map", get("/{labels}"), "no form as text"],
    ["a message", get("/{publisher}"), "no form as text"],
    ["a Struct", get("/{extra}"), "no form as text"],
    ["a Value", get("/{value}"), "no form as text"],
    ["a path through a scalar", get("/{name.x}"), "cannot lead through"],
    ["a path through a repeated message", get("/{printers.name}"), "cannot lead through"],
    ["a path through a Timestamp", get("/{printed.seconds}"), "cannot lead through"],
    ["a field bound twice", get("/{name}/{name}"), "bound twice"],
    ["a nested field bound twice", get("/{publisher.name}/{publisher.name}"), "bound twice"],
    ["two members of a oneof", get("/{id}/{token}"), "bound twice"],
    ["a member and one inside another member", get("/{owner.name}/{id}"), "bound twice"],
    ["an unknown body field", { ...post("/x"), body: "nope" }, `body: shelf.v1.Book has no field "nope"`],
    ["a nested body field", { ...post("/x"), body: "publisher.name" }, "has no field"],
    ["a body field that the path binds", { ...post("/{name}"), body: "name" }, "by the path and by the body"],
    ["a body on GET", { ...get("/x"), body: "*" }, "GET must not have a body"],
    ["an unknown response field", { ...get("/x"), responseBody: "nope" }, "response_body"],
    [
      "a custom kind that is not a method",
      { pattern: { case: "custom", value: { kind: "A B", path: "/x" } } },
      "is not an HTTP method",
    ],
    [
      "additional bindings two levels deep",
      { ...get("/x"), additionalBindings: [{ ...get("/y"), additionalBindings: [get("/z")] }] },
      "must not have additional_bindings",
    ],
    ["the same shape twice", { ...get("/{name}"), additionalBindings: [get("/{note}")] }, "same shape"],
    ["the path of an RPC", post("/shelf.v1.BareService/Unary"), "reserved path /shelf.v1.BareService/Unary"],
    ["the path of an RPC with another method", get("/shelf.v1.BareService/Bidi"), "reserved path"],
  ];
  test.each(faults)("%s", (_name, rule, reason) => {
    const build = (): unknown => bare([rule]);
    expect(build).toThrow(reason);
    expect(build).toThrow("shelf.v1.BareService.Unary");
  });

  test("an unknown selector", () => {
    expect(() => bare([{ selector: "shelf.v1.BareService.Nope", ...get("/x") }])).toThrow(
      `the selector "shelf.v1.BareService.Nope" is not a method`,
    );
  });

  test.each(["ClientStream", "Bidi"])("a method that reads a stream: %s", (name) => {
    const rule = { selector: `shelf.v1.BareService.${name}`, ...post("/x") };
    expect(() => bare([rule])).toThrow("reads a stream");
  });

  test("a service given twice", () => {
    const service = transcodedService(ShelfService, {});
    expect(() => createTranscoder({ services: [service, service] })).toThrow("given twice");
  });
});

describe("rules", () => {
  test.each([get("/**"), get("/{name=**}"), get("/{name}"), post("/shelf.v1.BareService/{name}")])(
    "a wildcard may cover RPC and reserved paths: %j",
    (rule) => {
      expect(() => bare([rule], { reservedPaths: ["/healthz"] })).not.toThrow();
    },
  );

  test.each([
    "/v1/{publisher.name}/{publisher.city_name}",
    "/v1/{publisher.name}/{publisher.parent.name}",
    "/v1/{owner.name}/{owner.mail}",
    "/{printed}/{loan}/{mask}/{subtitle}/{stock}/{genre}/{cover}/{lent}",
  ])("%s is accepted", (path) => {
    expect(() => bare([get(path)])).not.toThrow();
  });

  test("a rule replaces the option of its method with all additional bindings, and the last rule wins", () => {
    const rule = (path: string): Rule => ({ selector: "shelf.v1.BareService.Unary", ...get(path) });
    expect(bare([rule("/first"), rule("/last")]).routes).toEqual([
      { httpMethod: "GET", template: "/last", rpc: "shelf.v1.BareService.Unary" },
    ]);
  });

  test("the routes are listed", () => {
    const { routes } = createTranscoder({ services: [transcodedService(ShelfService, {})] });
    expect(routes.map(({ httpMethod, template }) => `${httpMethod} ${template}`)).toContain(
      "GET /v1/{publisher.name=publishers/*}/books/{name}",
    );
    expect(routes.some(({ rpc }) => rpc.endsWith("NotOnRest"))).toBe(false);
  });
});
