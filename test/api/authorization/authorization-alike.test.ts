import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { assembled } from "../../support/fixtures/assembled.ts";
import { callers } from "./callers.ts";
import { type Outcome, waysTo } from "./calls.ts";
import { type Request, requests } from "./requests.ts";
import { setStage } from "./stage.ts";
import { readTable } from "./table.ts";
import { type TargetKind, World } from "./world.ts";

// A caller learns nothing about an object that they may not reach: the answer is that for an object that does not exist, and the
// service sends the same statements to its database in the same order.

const table = readTable(new URL("authorization.txt", import.meta.url));
const methods = new Map(
  [...assembled().access.entries()].map(([method]) => [`${method.parent.typeName}/${method.name}`, method]),
);
const { stage, past } = await setStage();
const ways = waysTo(stage);
const world = await World.create(stage, past);

/** Statements that run at any time: of a new connection, after a revocation, and of a purge that keeps sessions. */
const ofBackground =
  /default_transaction_isolation|pg_notify|clock_timestamp\(\)\) \* 1000|leases|select id from projects where id >|with page as/;

/** Statements of this process. No other call runs beside the tested one. */
const queries = vi.spyOn(Client.prototype, "query");
afterAll(() => queries.mockRestore());

/** Whether a connection serves calls. The renewals of this process have one of their own. */
function servesCalls(client: unknown): boolean {
  const { connectionParameters } = client as { connectionParameters: { application_name: string } };
  return connectionParameters.application_name === "sessiond";
}

function statements(): readonly string[] {
  const { calls, contexts } = queries.mock;
  return calls
    .filter((_, i) => servesCalls(contexts[i]))
    .map(([query]: readonly unknown[]) =>
      typeof query === "string" ? query : (query as { readonly text: string }).text,
    )
    .filter((query) => !ofBackground.test(query));
}

const outsiders = [
  "service all",
  "end user",
  "end user by JWT",
  "end user with a grant",
  "member session",
  "member session with a grant",
];

/** Requests for objects that the caller may not reach. By the table their answers are those for unknown objects. */
const pairs = requests.flatMap((request) =>
  outsiders.flatMap((caller) =>
    request.targets.flatMap((kind) => {
      const { targets = [], outcomes } = table.requests.get(request.name) ?? {};
      const expected = (kind: TargetKind) => outcomes?.get(caller)?.[targets.indexOf(kind)];
      const isAlike = isBeyond(caller, kind) && expected(kind) === expected("unknown");
      return isAlike ? [{ name: `${request.name} of ${caller}`, request, caller, kind }] : [];
    }),
  ),
);

/** A service reaches its whole project, an end user with a grant their organization. */
function isBeyond(caller: string, kind: TargetKind): boolean {
  if (kind === "own" || kind.startsWith("unknown")) return false;
  const isInProject = kind === "colleague's" || kind === "stranger's";
  if (caller.startsWith("service")) return !isInProject;
  return !(caller.endsWith("with a grant") && kind === "colleague's");
}

beforeAll(async () => {
  // Opens all connections and loads the keys, so that no call has statements for them.
  const { headers } = world.home;
  const calls = Array.from({ length: 50 }, () => stage.admin.sessions.list({ memberId: "m" }, { headers }));
  await Promise.all(calls);
  const credential = { case: "jwt", value: (await world.caller()).jwt } as const;
  await stage.admin.sessions.authenticate({ credential }, { headers });
});

test("there are pairs to compare", () => {
  expect(pairs.length).toBeGreaterThan(60);
});

describe.each([
  ["alive", () => world.withOtherMembers()],
  ["dead", () => world.withDeadMembers()],
])("%s", (_, others) => {
  test.each(pairs)("$name: $kind as unknown", async ({ request, caller, kind }) => {
    // Tokens and JWTs show their project, so the answer may show it too, but nothing more.
    const showsProject = kind === "foreign" && / by (session_)?(token|jwt)$/.test(request.name);
    const absent = await outcomesOf(request, caller, showsProject ? "unknown abroad" : "unknown", others());
    expect(await outcomesOf(request, caller, kind, others())).toEqual(absent);
  });
});

test.each([
  ["service with a wrong secret", "service of an unknown project"],
  ["service with another project's secret", "service of an unknown project"],
  ["disabled service", "service of an unknown project"],
])("a %s is refused as a %s", async (one, other) => {
  const [request] = requests.filter(
    ({ name }) => name === "compat.stytch_b2b.v1.SessionService/Revoke by member_id",
  );
  if (request === undefined) throw new Error("there is no such request");
  const others = () => world.withOtherMembers();
  expect(await outcomesOf(request, one, "unknown", others())).toEqual(
    await outcomesOf(request, other, "unknown", others()),
  );
});

/** Outcomes of a request by each way, with the statements of the service. */
async function outcomesOf(
  request: Request,
  caller: string,
  kind: TargetKind,
  world: World,
): Promise<Map<string, { outcome: Outcome; asked: readonly string[] }>> {
  const method = methods.get(request.name.split(" by ")[0] ?? "");
  const credential = await callers[caller]?.(world);
  if (method === undefined || credential === undefined) throw new Error("there is no such method or caller");
  const outcomes = new Map<string, { outcome: Outcome; asked: readonly string[] }>();
  const message = await request.message(world.target(kind), world);
  for (const [way, call] of ways(method, message)) {
    queries.mockClear();
    const outcome = await call(message, credential);
    outcomes.set(way, { outcome, asked: statements() });
    // A success changes what the other ways would find.
    if (/^(OK|2\d\d)$/.test(outcome.result)) break;
  }
  return outcomes;
}
