import { Validator } from "@seriousme/openapi-schema-validator";
import { expect, test } from "vitest";
import { assembled } from "../../support/fixtures/assembled.ts";
import { documents, operationsOf } from "./described.ts";

const { routes, access } = assembled();

test.each([...documents])("the document %s is valid OpenAPI 3.1", async (_name, document) => {
  const validator = new Validator();
  expect(await validator.validate(structuredClone({ ...document }))).toEqual({ valid: true });
  expect(validator.version).toBe("3.1");
});

test("every route is in exactly one document, under the name of its API, and no other is", () => {
  const described = [...documents].flatMap(([name, document]) =>
    operationsOf(document).map(
      ({ route, operationId }) => `${name} ${route} ${operationId.replace(/\d$/, "")}`,
    ),
  );
  const served = routes.map(({ rpc, httpMethod, template }) => {
    const [first = "", second = "", ...rest] = rpc.split(".");
    return `${first === "compat" ? second : first} ${httpMethod} ${template} ${rest.at(-1) ?? ""}`;
  });
  expect(described.sort()).toEqual(served.sort());
});

test("a stream can start without a value in the query, and resumes by the header of server-sent events", () => {
  const watch = documents.get("session")?.paths["/session/v1/revocations:watch"]?.["get"];
  expect(watch?.parameters).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ name: "snapshot", in: "query", allowEmptyValue: true }),
      expect.objectContaining({ name: "Last-Event-ID", in: "header" }),
    ]),
  );
});

test("an operation needs credentials unless its method is public", () => {
  const publicRpcs = [...access.entries()].flatMap(([method, entry]) =>
    entry === "public" ? [`${method.parent.typeName}.${method.name}`] : [],
  );
  const open = [...documents.values()]
    .flatMap(operationsOf)
    .filter(({ security }) => security.length === 0)
    .map(({ route }) => route);
  const isPublic = routes.filter(({ rpc }) => publicRpcs.includes(rpc));
  expect(open.sort()).toEqual(isPublic.map(({ httpMethod, template }) => `${httpMethod} ${template}`).sort());
  expect(open).not.toEqual([]);
});
