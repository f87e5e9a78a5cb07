import { sql } from "kysely";
import { beforeAll, expect, test } from "vitest";
import type { Project } from "../../../src/domain/project.ts";
import type { RevocationPage, RevocationQuery } from "../../../src/domain/store/revocation-store.ts";
import { at, hour, revocationQuery, storedProject } from "../../support/fixtures/stored.ts";
import { useStore } from "../../support/postgres/use-store.ts";

const opened = useStore();
let project: Project;

/** One per hour; every thousandth by another actor. */
const length = 12_000;

beforeAll(async () => {
  project = await storedProject(opened.store);
  await sql`
    insert into revocations
      (project_id, revision, id, scope, target_id, revoke_time, matter_until_time, cause, reason, actor, acting_user)
    select ${project.id}, i, gen_random_uuid(), 'member', 'm' || i, time, time + interval '6 minutes', 'logout', '',
      case when i % 1000 = 0 then 'member/rare' else 'member/usual' end, ''
    from generate_series(1, ${sql.lit(length)}) i,
      lateral (select ${at(0)}::timestamptz + i * interval '1 hour') t (time)`.execute(opened.db);
  await sql`update project_revisions set revision = ${length}`.execute(opened.db);
});

/** The revisions of every page of a list. */
async function pagesOf(filter: Partial<RevocationQuery>, size = 50): Promise<number[][]> {
  const pages: number[][] = [];
  let next: RevocationPage["next"];
  do {
    const after = next === undefined ? undefined : String(next);
    const query = revocationQuery(project, { ...filter, page: { size, after } });
    const page = await opened.store.revocations.listRevocations(query);
    pages.push(page.revocations.map(({ revision }) => revision));
    ({ next } = page);
  } while (next !== undefined);
  return pages;
}

test("one call reads at most 5,000 revocations, and returns where to continue", async () => {
  expect(await pagesOf({ actor: "member/rare" })).toEqual([
    [12_000, 11_000, 10_000, 9000, 8000],
    [7000, 6000, 5000, 4000, 3000],
    [2000, 1000],
  ]);
  expect(await pagesOf({ actor: "member/rare" }, 2)).toEqual([
    [12_000, 11_000],
    [10_000, 9000],
    [8000, 7000],
    [6000, 5000],
    [4000, 3000],
    [2000, 1000],
  ]);
  expect(await pagesOf({ actor: "member/nobody" })).toEqual([[], [], []]);
});

test("finds a time long ago without a scan", async () => {
  expect(await pagesOf({ startTime: at(1000 * hour), endTime: at(1003 * hour) })).toEqual([
    [1002, 1001, 1000],
  ]);
  expect(await pagesOf({ endTime: at(3 * hour), actor: "member/usual" })).toEqual([[2, 1]]);
  expect(await pagesOf({ startTime: at(11_999 * hour) })).toEqual([[12_000, 11_999]]);
});

test("a target is found without a scan, for any actor", async () => {
  const target = { scope: "member", targetId: "m1000" } as const;
  expect(await pagesOf({ ...target, actor: "member/rare" })).toEqual([[1000]]);
  expect(await pagesOf({ ...target, actor: "member/usual" })).toEqual([[]]);
});
