import { pino } from "pino";
import { expect, test } from "vitest";
import type { MethodAccess } from "../../src/auth/access.ts";
import { SessionJwts } from "../../src/domain/jwt.ts";
import { KeyRing } from "../../src/domain/key-ring.ts";
import { masterKeyOf } from "../../src/domain/sealing.ts";
import { assemble } from "../../src/server/assemble.ts";
import { readConfig } from "../../src/server/config.ts";
import { openDatabase } from "../../src/storage/database.ts";
import { systemClock } from "../../src/domain/clock.ts";
import { RevocationFeeds } from "../../src/domain/revocation-feed.ts";
import { postgresStore } from "../../src/storage/postgres-store.ts";

/** The service with the defaults of its configuration, put together but not started: nothing here asks the database. */
function assembled() {
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

function inWords(access: MethodAccess): string {
  if (access === "public") return "anybody";
  const service = access.service === undefined ? [] : [`services with ${access.service}`];
  const member = access.member === true ? ["end users"] : [];
  return [...service, ...member].join(", ");
}

test("what is served, where, and for whom, is what surface.txt says", async () => {
  const { routes, access } = assembled();
  const lines = [...access.entries()].map(([method, entry]) => {
    const name = `${method.parent.typeName}.${method.name}`;
    const paths = routes.filter(({ rpc }) => rpc === name);
    const rest = paths.map(({ httpMethod, template }) => `    ${httpMethod} ${template}\n`).join("");
    return `${name}\n    ${inWords(entry)}\n${rest}`;
  });
  const known = new Set([...access.entries()].map(([method]) => `${method.parent.typeName}.${method.name}`));
  expect(routes.filter(({ rpc }) => !known.has(rpc))).toEqual([]);
  await expect(lines.join("\n")).toMatchFileSnapshot("surface.txt");
});
