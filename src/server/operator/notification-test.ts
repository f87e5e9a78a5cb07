import { randomUUID } from "node:crypto";
import { systemClock } from "../../domain/clock.ts";
import { RevocationListener } from "../../storage/revocations/listener.ts";
import { RevocationNotifier } from "../../storage/revocations/notifier.ts";
import type { Db } from "../../storage/schema/tables.ts";

/** Whether a notification that is sent through `db` arrives at a connection to `url`, as those of revocations must. */
export async function notificationsArrive(db: Db, url: string, connectTimeoutMs: number): Promise<boolean> {
  const sender = randomUUID();
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const fail = () => resolve(false);
  const notifier = new RevocationNotifier({ db, sender, onFailure: fail });
  const listener = new RevocationListener({
    url,
    sender,
    connectTimeoutMs,
    clock: systemClock,
    sendTest: (nonce) => notifier.sendTest(nonce).catch(fail),
    onChange: () => undefined,
    onHearing: resolve,
    onTrouble: fail,
  });
  try {
    return await promise;
  } finally {
    await listener.close();
  }
}
