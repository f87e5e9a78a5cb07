import { pino } from "pino";
import { systemClock } from "../../src/domain/clock.ts";
import { SessionJwts } from "../../src/domain/jwt.ts";
import { KeyRing } from "../../src/domain/key-ring.ts";
import { RevocationFeeds } from "../../src/domain/revocation-feed.ts";
import { masterKeyOf } from "../../src/domain/sealing.ts";
import { type Assembly, assemble } from "../../src/server/assemble.ts";
import { readConfig } from "../../src/server/config.ts";
import { openDatabase } from "../../src/storage/database.ts";
import { postgresStore } from "../../src/storage/postgres-store.ts";

/** The service with the defaults of its configuration, put together but not started: nothing here asks the database. */
export function assembled(): Assembly {
  const read = readConfig({});
  if ("problems" in read) throw new Error(read.problems.join("\n"));
  const limits = { maxConnections: 1, connectTimeout: 1_000, statementTimeout: 1_000 };
  const db = openDatabase({ ...limits, url: "postgres://nowhere", onConnectionError: () => undefined });
  const store = postgresStore(db, { onLostAccess: () => undefined, notify: false });
  const now = () => new Date();
  const keyRing = new KeyRing(store, { current: masterKeyOf(Buffer.alloc(32)), accepted: [] }, now);
  const deps = { store, keyRing, jwts: new SessionJwts(keyRing, "sessiond"), now };
  const feeds = new RevocationFeeds(store, systemClock, now);
  const shutdownSignal = new AbortController().signal;
  return assemble({ config: read.config, deps, feeds, log: pino({ level: "silent" }), shutdownSignal });
}
