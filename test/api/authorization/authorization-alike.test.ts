import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { assembled } from "../../support/fixtures/assembled.ts";
import { callers } from "./callers.ts";
import { type Outcome, waysTo } from "./calls.ts";
import { type Request, requests } from "./requests.ts";
import { setStage } from "./stage.ts";
import { readTable } from "./table.ts";
import { type TargetKind, World } from "./world.ts";

// Who asks for what is not theirs to know learns the same as of what is not there, and by the same path: not only from the answer
// but from what it takes to give it. That is told by what the service asks of its database, the same statements in the same order;
// everything else is the same code.

const table = readTable(new URL("authorization.txt", import.meta.url));
const methods = new Map(
  [...assembled().access.entries()].map(([method]) => [`${method.parent.typeName}/${method.name}`, method]),
);
const { stage, past } = await setStage();
const ways = waysTo(stage);
const world = await World.create(stage, past);

/** The statements of each new connection, which the pool opens at times of its own. */
const ofConnection = /default_transaction_isolation|clock_timestamp\(\)\) \* 1000/;

/** Statements that this process sends to any database. While no other call runs, they are those of the tested call. */
const queries = vi.spyOn(Client.prototype, "query");
afterAll(() => queries.mockRestore());

function statements(): readonly string[] {
  return queries.mock.calls
    .map(([query]: readonly unknown[]) =>
      typeof query === "string" ? query : (query as { readonly text: string }).text,
    )
    .filter((query) => !ofConnection.test(query));
}

const outsiders = [
  "service all",
  "end user",
  "end user by JWT",
  "end user with a grant",
  "member session",
  "member session with a grant",
];

/** A request for an object that the caller may not reach, and for one that does not exist. By the table, both get the same answer. */
const pairs = requests.flatMap((request) =>
  outsiders.flatMap((caller) =>
    request.targets.flatMap((kind) => {
      const { targets = [], outcomes } = table.requests.get(request.name) ?? {};
      const told = (kind: TargetKind) => outcomes?.get(caller)?.[targets.indexOf(kind)];
      const isAlike = isBeyond(caller, kind) && told(kind) === told("unknown");
      return isAlike ? [{ name: `${request.name} of ${caller}`, request, caller, kind }] : [];
    }),
  ),
);

/** A service reaches all of its project, and who has a grant all of their organization. */
function isBeyond(caller: string, kind: TargetKind): boolean {
  if (kind === "own" || kind.startsWith("unknown")) return false;
  const isInProject = kind === "colleague's" || kind === "stranger's";
  if (caller.startsWith("service")) return !isInProject;
  return !(caller.endsWith("with a grant") && kind === "colleague's");
}

beforeAll(async () => {
  // All connections there will be, each of which asks for its settings first, and the keys that the service will know.
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
    // Tokens and JWTs tell by their form that they are another project's. Then so may the answer, but no more than that.
    const isTold = kind === "foreign" && / by (session_)?(token|jwt)$/.test(request.name);
    const absent = await learnt(request, caller, isTold ? "unknown abroad" : "unknown", others());
    expect(await learnt(request, caller, kind, others())).toEqual(absent);
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
  expect(await learnt(request, one, "unknown", others())).toEqual(
    await learnt(request, other, "unknown", others()),
  );
});

/** What a caller learns of a target by each way, and what the service asks for that. */
async function learnt(
  request: Request,
  caller: string,
  kind: TargetKind,
  world: World,
): Promise<Map<string, { outcome: Outcome; asked: readonly string[] }>> {
  const method = methods.get(request.name.split(" by ")[0] ?? "");
  const credential = await callers[caller]?.(world);
  if (method === undefined || credential === undefined) throw new Error("there is no such method or caller");
  const learnt = new Map<string, { outcome: Outcome; asked: readonly string[] }>();
  const message = await request.message(world.target(kind), world);
  for (const [way, call] of ways(method, message)) {
    queries.mockClear();
    const outcome = await call(message, credential);
    learnt.set(way, { outcome, asked: statements() });
    if (/^(OK|2\d\d)$/.test(outcome.told)) break; // and so has changed what the others would find
  }
  return learnt;
}
