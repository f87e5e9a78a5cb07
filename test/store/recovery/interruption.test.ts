import { sql } from "kysely";
import { expect, test } from "vitest";
import { historyOf, logOf, recoverAt, storeOfTest, usedProject } from "../../support/fixtures/recovering.ts";
import { must, projectId } from "../../support/fixtures/stored.ts";

const gap = 2 ** 40;
const masterKey = Buffer.alloc(32, "recovery");

/** The writes of a recovery, and whether the run that fails there leaves projects to the next one. */
const writes = [
  ["insert", "project_recoveries", true],
  ["update", "project_revisions", true],
  ["insert", "revocations", true],
  ["insert", "cutoffs", true],
  ["update", "signing_keys", true],
  ["insert", "signing_keys", true],
  ["delete", "creation_requests", true],
  ["update", "recoveries", false],
] as const;

test.each(writes)(
  "a run that fails at the %s of %s is continued by the next one",
  async (event, table, left) => {
    const { store, url, db } = await storeOfTest();
    const first = await usedProject(store, { id: projectId("a") });
    const used = [first, await usedProject(store), await usedProject(store)];
    await sql`
    insert into creation_requests (project_id, request_id, fingerprint, session_id, sealed_token, master_key_id, create_time)
    select id, 'login', '', gen_random_uuid(), '', '', now() from projects`.execute(db);
    await sql`
    create function fail() returns trigger language plpgsql as $$ begin
      if coalesce(to_jsonb(new), to_jsonb(old))->>'project_id' is distinct from 'a' then raise 'injected'; end if;
      return coalesce(new, old);
    end $$`.execute(db);
    await sql`create trigger fail before ${sql.raw(event)} on ${sql.table(table)} for each row execute function fail()`.execute(
      db,
    );
    await expect(recoverAt(url, { masterKey })).rejects.toThrow("injected");
    const before = await historyOf(url, first.project.id);
    expect(before.start_revision).toBe(1 + gap);
    await sql`drop trigger fail on ${sql.table(table)}`.execute(db);

    const states: boolean[] = [];
    const onProject = async ({ isRecovered }: { isRecovered: boolean }) => void states.push(isRecovered);
    const recovery = await recoverAt(url, { masterKey, onProject });
    expect(states).toEqual([true, !left, !left]);
    expect(await historyOf(url, first.project.id)).toEqual(before);
    for (const { project, active } of used) {
      expect(await historyOf(url, project.id)).toMatchObject({ start_revision: 1 + gap, revision: 4 + gap });
      const scopes = (await logOf(store, project)).map(({ scope }) => scope);
      expect(scopes).toEqual(["session", "project", "signing_key", "signing_key"]);
      expect(must(await store.sessions.findSession(project.id, active.id)).revocation).toBeDefined();
      expect(await store.signingKeys.signingSchedule(project.id, new Date())).toHaveLength(1);
    }
    expect((await sql`select from creation_requests`.execute(db)).rows).toHaveLength(0);
    const { rows } = await sql`select id from recoveries where finish_time is not null`.execute(db);
    expect(rows).toEqual([{ id: recovery?.id }]);
  },
);

test("two runs at once recover each project once", async () => {
  const { store, url, db } = await storeOfTest();
  const used = [];
  for (let i = 0; i < 5; i++) used.push(await usedProject(store));
  const [one, two] = await Promise.all([recoverAt(url), recoverAt(url)]);
  expect(one?.id).toBe(two?.id);
  for (const { project } of used) {
    expect(await historyOf(url, project.id)).toMatchObject({ start_revision: 1 + gap, revision: 4 + gap });
  }
  const { rows } = await sql`select from project_recoveries`.execute(db);
  expect(rows).toHaveLength(used.length);
});

test("an interrupted run needs the same options, and a finished one --again", async () => {
  const { store, url } = await storeOfTest();
  const { project } = await usedProject(store);
  await usedProject(store);
  const abort = new AbortController();
  const interrupted = must(
    await recoverAt(url, { signal: abort.signal, keepSessions: true, onProject: async () => abort.abort() }),
  );
  expect(interrupted.finishTime).toBeUndefined();
  await expect(recoverAt(url)).rejects.toThrow(
    "with --keep-sessions is not finished: run it again with that option, or add --again",
  );
  expect((await recoverAt(url, { keepSessions: true }))?.id).toBe(interrupted.id);
  await expect(recoverAt(url, { keepSessions: true })).rejects.toThrow(/finished: add --again if/);

  const again = must(await recoverAt(url, { again: true }));
  expect(again.id).not.toBe(interrupted.id);
  const { start_revision } = await historyOf(url, project.id);
  expect(start_revision).toBeGreaterThan(2 * gap);
});
