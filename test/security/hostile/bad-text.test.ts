import { type DescMessage, type JsonValue, fromJson, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { protocols, rawCall } from "./rpc-call.ts";
import { nameOf, restRoutes, rpcMethods, withTextInEachField } from "./surface.ts";
import { attackTarget } from "./target.ts";

const target = await attackTarget();

/** Characters that Postgres cannot store: in JSON, in binary messages and in URLs. */
const unstorable = {
  NUL: { json: "\\u0000", bytes: Buffer.from([0]), escape: "%00" },
  "half a surrogate pair": {
    json: "\\ud83d",
    bytes: Buffer.from([0xed, 0xa0, 0xbd]),
    escape: "%ED%A0%BD",
  },
};
const place = "~~~";

const cases = rpcMethods.flatMap((method) =>
  withTextInEachField(method.input, `a${place}b`).map(({ field, json }) => ({ method, field, json })),
);

test("finds the text fields of all methods", () => {
  expect(cases.length).toBeGreaterThan(35);
});

describe.each(Object.entries(unstorable))("%s", (_, text) => {
  test.each(protocols)("is rejected in every text field of every method over %s", async (protocol) => {
    const wrong: string[] = [];
    for (const { method, field, json } of cases) {
      for (const format of ["proto", "json"] as const) {
        const message = format === "proto" ? binary(method.input, json, text.bytes) : inJson(json, text.json);
        const answer = await rawCall(target, protocol, { method: nameOf(method), message, format });
        // Health checks answer NOT_FOUND for any unknown name, because they store none.
        const isRefused = answer.code === Code.InvalidArgument || answer.code === Code.NotFound;
        if (!isRefused) wrong.push(`${nameOf(method)} ${field} as ${format}: ${answer.text}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test("causes no server error in any path, query and body of REST", async () => {
    const wrong: string[] = [];
    const session = await target.createSession();
    for (const route of restRoutes) {
      const { httpMethod, method } = route;
      const credentials = credentialsOf(method.parent.typeName, session.token);
      const paths = [
        route.path(`a${text.escape}b`),
        ...method.input.fields.map((field) => `${route.path("a")}?${field.jsonName}=${text.escape}`),
      ];
      const requests = [
        ...paths.map((path) => ({ path, body: undefined })),
        ...withTextInEachField(method.input, `a${place}b`).map(({ json }) => ({
          path: route.path("a"),
          body: inJson(json, text.json),
        })),
      ];
      for (const { path, body } of requests) {
        if (httpMethod === "GET" && body !== undefined) continue;
        const answer = await target.send(httpMethod, path, { headers: credentials, body });
        if (answer.status >= 500) wrong.push(`${httpMethod} ${path} ${String(body)}: ${answer.text}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

function credentialsOf(service: string, token: string): Record<string, string> {
  const isEndUsers = service.includes("flashback") || service.includes("kratos");
  return { authorization: isEndUsers ? `Bearer ${token}` : target.home.basic };
}

function inJson(json: object, escape: string): Buffer {
  return Buffer.from(JSON.stringify(json).replace(place, () => escape));
}

/** Binary form of the JSON, with `bytes` in place of the placeholder. */
function binary(message: DescMessage, json: object, bytes: Buffer): Buffer {
  const fill = "~".repeat(bytes.length);
  const text = JSON.parse(JSON.stringify(json).replace(place, fill)) as JsonValue;
  const encoded = Buffer.from(toBinary(message, fromJson(message, text)));
  bytes.copy(encoded, encoded.indexOf(fill));
  return encoded;
}
