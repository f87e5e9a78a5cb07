import type { Logger } from "pino";
import { systemClock } from "../domain/clock.ts";
import type { RevocationFeeds } from "../domain/revocations/revocation-feeds.ts";
import { RevocationListener } from "../storage/revocations/listener.ts";
import type { RevocationNotifier } from "../storage/revocations/notifier.ts";
import { describeFault } from "./observability/log.ts";

export interface WakeUpOptions {
  readonly url: string;
  readonly sender: string;
  readonly connectTimeoutMs: number;
  readonly notifier: RevocationNotifier;
  readonly feeds: RevocationFeeds;
  readonly log: Logger;
}

/** Lets the feeds read when other replicas notify of revocations, and often while notifications do not arrive. */
export function listenForRevocations(options: WakeUpOptions): RevocationListener {
  const { url, sender, connectTimeoutMs, notifier, feeds, log } = options;
  let wasDeaf = false;
  return new RevocationListener({
    url,
    sender,
    connectTimeoutMs,
    clock: systemClock,
    sendTest: (nonce) => notifier.sendTest(nonce),
    onChange: (projectId) => feeds.changed(projectId),
    onHearing(hears) {
      feeds.hear(hears);
      if (hears && wasDeaf) log.info("notifications of revocations arrive again");
      if (!hears && !wasDeaf) {
        log.warn(
          "notifications of revocations do not arrive, so that the logs of watched projects are read every 50 ms: if " +
            "DATABASE_URL leads to a pooler, set SESSIOND_DATABASE_DIRECT_URL",
        );
      }
      wasDeaf = !hears;
    },
    onTrouble(error) {
      feeds.hear(false);
      log.warn(
        { fault: describeFault(error) },
        "LISTEN failed; the logs of watched projects are read every 50 ms",
      );
    },
  });
}
