import { type DescMethod, type JsonObject, ScalarType } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as Idempotency } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { assembled } from "../../support/fixtures/assembled.ts";
import { callers } from "./callers.ts";
import { type Outcome, waysTo } from "./calls.ts";
import { type Request, requests } from "./requests.ts";
import { setStage } from "./stage.ts";
import { type Expected, readTable } from "./table.ts";
import { type TargetKind, World } from "./world.ts";

const table = readTable(new URL("authorization.txt", import.meta.url));
const methods = new Map(
  [...assembled().access.entries()].map(([method]) => [`${method.parent.typeName}/${method.name}`, method]),
);
const { stage, past } = await setStage();
const ways = waysTo(stage);
/** Shared by the calls that are expected to fail, because they change nothing. */
const shared = await World.create(stage, past);

test("the table has every method, every field that names something, and every caller", () => {
  expect([...table.requests.keys()]).toEqual(requests.map(({ name }) => name));
  const named = new Map<string, string[]>();
  for (const { name } of requests) {
    const [method = "", fields = ""] = name.split(" by ");
    named.set(method, [...(named.get(method) ?? []), ...fields.split(", ")]);
  }
  expect(new Set(named.keys())).toEqual(new Set(methods.keys()));
  for (const [name, method] of methods) {
    expect(named.get(name), name).toEqual(expect.arrayContaining([...namingFields(method)]));
  }
  for (const [name, { outcomes }] of table.requests) {
    expect(new Set(outcomes.keys()), name).toEqual(new Set(Object.keys(callers)));
  }
  for (const { name, targets } of requests) expect(table.requests.get(name)?.targets).toEqual(targets);
});

/** The fields by which a request can name an object of another owner. */
function namingFields({ input }: DescMethod): readonly string[] {
  return input.fields
    .filter(({ scalar, name }) => scalar === ScalarType.STRING && /^(.+_)?(id|token|jwt|kid)$/.test(name))
    .map(({ name }) => name)
    .filter((name) => name !== "page_token" && name !== "request_id");
}

describe.each(requests)("$name", (request) => {
  const expected = table.requests.get(request.name);
  const method = methods.get(request.name.split(" by ")[0] ?? "");

  test("answers each caller for each target as the table says", async () => {
    if (expected === undefined || method === undefined) {
      throw new Error("the request is not in the table, or its method does not exist");
    }
    const names = [...ways(method, await messageOf(request, shared, "own")).keys()];
    expect(names).not.toEqual([]);
    for (const way of names) {
      const results = await Promise.all(
        Object.keys(callers).map(async (caller) => {
          const cells = request.targets.map((kind) => cell(request, method, way, caller, kind, expected));
          const outcomes = await Promise.all(cells);
          return [caller, outcomes.map(({ result }) => result)];
        }),
      );
      expect(Object.fromEntries(results), way).toEqual(resultsBy(way, expected));
    }
  });
});

async function cell(
  request: Request,
  method: DescMethod,
  way: string,
  caller: string,
  kind: TargetKind,
  expected: Expected,
): Promise<Outcome> {
  const world = isHarmless(request, method, caller, kind, expected) ? shared : await otherWorld(request);
  const credential = await callers[caller]?.(world);
  const message = await messageOf(request, world, kind);
  const call = ways(method, message).get(way);
  if (call === undefined || credential === undefined) throw new Error(`there is no ${way} or ${caller}`);
  return call(message, credential);
}

/** Whether the call changes nothing if it has the expected outcome. */
function isHarmless(
  { targets, isMute }: Request,
  { idempotency }: DescMethod,
  caller: string,
  kind: TargetKind,
  { outcomes }: Expected,
): boolean {
  if (idempotency === Idempotency.NO_SIDE_EFFECTS || (isMute === true && kind !== "own")) return true;
  return !/^(OK|2\d\d)$/.test(outcomes.get(caller)?.[targets.indexOf(kind)] ?? "");
}

function otherWorld({ spoilsProject }: Request): World | Promise<World> {
  return spoilsProject === true ? shared.withOtherProjects() : shared.withOtherMembers();
}

async function messageOf(request: Request, world: World, kind: TargetKind): Promise<JsonObject> {
  return request.message(world.target(kind), world);
}

/** The results that the table expects of this way. */
function resultsBy(way: string, { outcomes }: Expected): Record<string, readonly string[]> {
  const inFull = (result: string) => {
    const reason = table.reasons.get(result);
    if (reason === undefined) return result;
    return way === "gRPC" ? `${result} ${reason.code}` : `${result} ${reason.code} ${reason.status}`;
  };
  return Object.fromEntries([...outcomes].map(([caller, cells]) => [caller, cells.map(inFull)]));
}

test("refused calls have changed nothing", async () => {
  const targets = await shared.targets();
  expect(targets.length).toBe(4);
  for (const { kind, session, tenant } of targets) {
    const { headers } = tenant;
    const credential = { case: "token", value: session.token } as const;
    const found = await stage.admin.sessions.authenticate({ credential }, { headers });
    expect(found.session?.id, kind).toBe(session.id);
  }
  for (const { id } of [shared.home, shared.abroad]) {
    const { project } = await stage.admin.projects.getProject({ id });
    expect(project).toMatchObject({ id, policy: { jwtLifetime: { seconds: 300n } } });
    expect(project?.disableTime).toBeUndefined();
    const { keys } = await stage.admin.projects.getJwks({ projectId: id });
    expect(keys).toHaveLength(1);
  }
  const { project } = await stage.admin.projects.getProject({ id: shared.home.id });
  expect(project?.policy?.roleGrants).toHaveLength(1);
});
