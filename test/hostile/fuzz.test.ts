import { type JsonValue, fromJson, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { anyDamage, anyJsonOf, anyText, damaged } from "./arbitrary.ts";
import { carriers, rawCall } from "./rpc-call.ts";
import { nameOf, restRoutes, rpcMethods } from "./surface.ts";
import { type Issued, attackTarget } from "./target.ts";

/** SESSIOND_FUZZ_RUNS=100000 looks for many minutes; SESSIOND_FUZZ_SEED repeats what failed. */
const runs = Number(process.env["SESSIOND_FUZZ_RUNS"] ?? 1200);
const seed = Number(process.env["SESSIOND_FUZZ_SEED"] ?? 20_261_121);
const timeout = 30_000 + runs * 50;

const target = attackTarget();
let known: string[];
let alive: Issued;

beforeAll(async () => {
  const prey = await target.createTenant("prey");
  alive = await target.createSession({ memberId: "alice", organizationId: "acme" });
  const theirs = await target.createSession({ memberId: "alice" }, prey);
  known = ["alice", "acme", "prey", "admin", "sessions.read", "127.0.0.1", alive.id, alive.token, alive.jwt];
  known.push(theirs.id, theirs.token, theirs.jwt, "01900000-0000-7000-8000-000000000000");
});

/** Codes that say that the service, not the caller, is at fault. */
const faults: readonly (Code | undefined)[] = [Code.Internal, Code.Unknown, Code.DataLoss, Code.Unavailable];

test("no message makes a method fail inside", { timeout }, async () => {
  const calls = fc.oneof(
    ...rpcMethods.map((method) =>
      fc.record({
        method: fc.constant(method),
        json: anyJsonOf(method.input, known),
        carrier: fc.constantFrom(...carriers),
        format: fc.constantFrom("json" as const, "proto" as const),
        damage: fc.option(anyDamage),
      }),
    ),
  );
  await fc.assert(
    fc.asyncProperty(calls, async ({ method, json, carrier, format, damage }) => {
      const text = Buffer.from(JSON.stringify(json) ?? "null");
      let bytes: Uint8Array = text;
      if (format === "proto") {
        try {
          bytes = toBinary(method.input, fromJson(method.input, JSON.parse(text.toString()) as JsonValue));
        } catch {
          // Not of the type: its JSON makes for good enough bytes.
        }
      }
      const message = damage === null ? bytes : damaged(bytes, damage);
      const answer = await rawCall(target, carrier, { method: nameOf(method), message, format });
      expect(faults).not.toContain(answer.code);
      expect(answer.requestId).not.toBe("");
    }),
    { numRuns: runs, seed },
  );
});

test("no request makes a REST route fail inside", { timeout }, async () => {
  const escaped = anyText(known)
    .map((text) => text.slice(0, 2000))
    .map(escape);
  const requests = fc.oneof(
    ...restRoutes.map((route) =>
      fc.record({
        route: fc.constant(route),
        segment: fc.oneof(
          escaped,
          fc.constantFrom("%", "%zz", "%00", "..", ".", "%2F", "*", ":revoke", "x:revoke"),
        ),
        query: fc.array(
          fc.tuple(fc.constantFrom(...route.method.input.fields.map((f) => f.jsonName), "x"), escaped),
          {
            maxLength: 3,
          },
        ),
        json: anyJsonOf(route.method.input, known),
        isRaw: fc.integer({ min: 0, max: 9 }),
        httpMethod: fc.oneof(
          { weight: 12, arbitrary: fc.constant(route.httpMethod) },
          { weight: 1, arbitrary: fc.constantFrom("PATCH", "PUT", "DELETE", "OPTIONS", "POST") },
        ),
        as: fc.constantFrom("service", "member", "beside", "nobody"),
        contentType: fc.oneof(
          { weight: 8, arbitrary: fc.constant("application/json") },
          {
            weight: 1,
            arbitrary: fc.constantFrom("application/json; charset=utf-16", "text/plain", "application/proto"),
          },
        ),
      }),
    ),
  );
  await fc.assert(
    fc.asyncProperty(
      requests,
      async ({ route, segment, query, json, isRaw, httpMethod, as, contentType }) => {
        const search = query.map(([name, value]) => `${name}=${value}`).join("&");
        const path = `${route.path(segment)}${search === "" ? "" : `?${search}`}`;
        const text = JSON.stringify(json) ?? "";
        const hasBody = httpMethod !== "GET";
        const body = isRaw === 0 ? text.slice(0, text.length / 2) : text;
        const headers = { "content-type": contentType, ...(await credentialsOf(as)) };
        const answer = await target.send(httpMethod, path, { headers, ...(hasBody && { body }) });
        expect(answer.status).toBeLessThan(500);
        expect(answer.headers.get("x-request-id")).not.toBeNull();
      },
    ),
    { numRuns: runs, seed },
  );
});

test("afterwards it serves as before, and has noted no failure of its own", async () => {
  expect(await target.createSession({ memberId: "after" })).toMatchObject({ id: expect.any(String) });
  const failures = target.log.filter(
    (line) => line.includes('"fault"') && !line.includes("connection trouble"),
  );
  expect(failures).toEqual([]);
});

async function credentialsOf(as: string): Promise<Record<string, string>> {
  switch (as) {
    case "service":
      return { authorization: target.home.basic };
    case "member":
      return { authorization: `Bearer ${(await target.createSession({ memberId: "alice" })).token}` };
    case "beside":
      return { authorization: target.home.basic, "x-stytch-member-session": alive.token };
    default:
      return {};
  }
}

/** Percent-encodes bytes, also of text that is no Unicode. */
function escape(text: string): string {
  return [...Buffer.from(text, "utf16le")]
    .filter((byte, i) => i % 2 === 0 || byte !== 0)
    .map((byte) => `%${byte.toString(16).padStart(2, "0")}`)
    .join("");
}
