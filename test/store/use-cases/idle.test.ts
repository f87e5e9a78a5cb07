import { beforeEach, describe, expect, test, vi } from "vitest";
import type { SessionId } from "../../../src/domain/ids.ts";
import { idleExpireTimeOf } from "../../../src/domain/sessions/session.ts";
import { authenticate } from "../../../src/domain/use-cases/authenticate.ts";
import type { ServiceCaller } from "../../../src/domain/use-cases/caller.ts";
import type { Dependencies } from "../../../src/domain/use-cases/dependencies.ts";
import { unlimited } from "../../../src/transport/call-context.ts";
import { login, newService, useDeployment } from "../../support/fixtures/deployment.ts";
import { at, must } from "../../support/fixtures/stored.ts";
import { patience } from "../../support/patience.ts";
import { openStore } from "../../support/postgres/open-store.ts";

const idleTimeout = 10_000;
const deployment = useDeployment();
let service: ServiceCaller;

beforeEach(async () => {
  service = await newService(deployment);
});

/** Another replica: a store without anything in memory. */
function replica(): { readonly deps: Dependencies; readonly stop: () => Promise<void> } {
  const { store, close } = openStore(deployment.opened.url);
  return { deps: { ...deployment, store }, stop: close };
}

/** Uses a session at a time, and returns the end of its idle timeout that the owner is told. */
async function use(deps: Dependencies, token: string, ms: number): Promise<Date> {
  deployment.setClock(ms);
  const { session } = await authenticate(deps, service.project, { token }, false, unlimited);
  return must(idleExpireTimeOf(session));
}

async function recorded(id: SessionId): Promise<Date | undefined> {
  return (await deployment.store.sessions.findSession(service.project.id, id))?.lastAccessTime;
}

function untilRecorded(id: SessionId, ms: number): Promise<unknown> {
  return vi.waitUntil(async () => (await recorded(id))?.getTime() === at(ms).getTime(), patience);
}

/** Runs `work` while the session's row is locked, which the record of an access does not wait for. */
function whileLocked<T>(id: SessionId, work: () => Promise<T>): Promise<T> {
  return deployment.opened.db.transaction().execute(async (transaction) => {
    await transaction.selectFrom("sessions").select("id").where("id", "=", id).forUpdate().execute();
    return work();
  });
}

/** The session is active until the announced time, on this replica and on one that has just started. */
async function expectKept(token: string, announced: Date): Promise<void> {
  const ms = announced.getTime() - at(0).getTime();
  const { deps, stop } = replica();
  for (const each of [deployment, deps]) await use(each, token, ms - 1);
  await stop();
}

describe("an idle session is not ended before the time that was announced", () => {
  test("by an access that is not due", async () => {
    const { token } = await login(deployment, service, { idleTimeout });
    const announced = await use(deployment, token, 900);
    expect(announced).toEqual(at(10_000));
    await expectKept(token, announced);
  });

  test("by accesses that alternate between replicas, of which some are recorded", async () => {
    const { session, token } = await login(deployment, service, { idleTimeout });
    const { deps, stop } = replica();
    let announced = at(0);
    for (const [i, ms] of [900, 1800, 1900, 2700, 2900, 3900].entries()) {
      const before = await recorded(session.id);
      const time = await use(i % 2 === 0 ? deployment : deps, token, ms);
      expect(time.getTime()).toBeGreaterThanOrEqual(announced.getTime());
      announced = time;
      const isDue = ms - must(before).getTime() + at(0).getTime() >= idleTimeout / 10;
      if (isDue) await untilRecorded(session.id, ms);
    }
    expect(await recorded(session.id)).toEqual(at(3900));
    await stop();
    await expectKept(token, announced);
  });

  test.each([
    ["by a due access whose record was lost", false],
    ["by a due access whose record was lost with its replica", true],
  ])("%s", async (_, stops) => {
    const { session, token } = await login(deployment, service, { idleTimeout });
    const { deps, stop } = replica();
    const announced = await whileLocked(session.id, async () => {
      const time = await use(deps, token, 5000);
      const other = await login(deployment, service, { idleTimeout });
      deps.store.sessions.recordAccess(other.session, at(6000));
      await untilRecorded(other.session.id, 6000);
      return time;
    });
    if (stops) await stop();
    expect(await recorded(session.id)).toEqual(session.lastAccessTime);
    await expectKept(token, announced);
    if (!stops) await stop();
  });
});

test("an idle session ends at the announced time if it is not used", async () => {
  const { session, token } = await login(deployment, service, { idleTimeout });
  await use(deployment, token, 1000);
  await untilRecorded(session.id, 1000);
  const announced = await use(deployment, token, 1500);
  expect(announced).toEqual(at(11_000));
  await expect(use(deployment, token, 11_000)).rejects.toMatchObject({
    reason: "SESSION_IDLE_EXPIRED",
    metadata: { idle_expire_time: announced.toISOString() },
  });
});
