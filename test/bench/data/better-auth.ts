import { Client } from "pg";
import { type Bench, urlOf } from "../bench.ts";
import type { Subject } from "../figures.ts";
import { writeCalls } from "../load/calls.ts";
import type { Job, Line } from "../load/job.ts";
import { loadSubject } from "../load/load.ts";
import { cores } from "../machine.ts";
import type { BenchServer } from "../processes.ts";
import { betterAuthCookie, betterAuthOrigin } from "../servers/better-auth-cookie.ts";
import { digitsInSql, digitsOf } from "./numbers.ts";
import { runSql } from "../../support/postgres/sql.ts";

/** better-auth with three sessions per user, and files of calls. */
export interface StoredBetterAuth {
  readonly server: BenchServer;
  readonly database: string;
  /** Each call authenticates by another session. */
  readonly getSession: string;
  /** Each call revokes another session, authenticated by a second session of the same user. */
  readonly revokeSession: string;
}

/** Tokens of 32 characters, as long as better-auth's own. */
const tokenPadding = "A".repeat(20);
const token = (number: number) => tokenPadding + digitsOf(number);
/** Prepared calls of each kind: more than the bench makes. */
const prepared = 80_000;

/** Starts better-auth on a database of its own and stores sessions. */
export async function storeBetterAuth(bench: Bench, count: number): Promise<StoredBetterAuth> {
  const start = performance.now();
  const database = "better_auth";
  await runSql(bench.postgres.url, `create database ${database}`);
  const url = urlOf(bench, database);
  const server = await bench.processes.startServer("servers/better-auth.ts", {
    environment: { DATABASE_URL: url },
    core: cores.server,
  });
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(`
      insert into "user" (id, name, email, "emailVerified", "createdAt", "updatedAt")
      select 'user-' || i, 'User ' || i, 'user-' || i || '@example.com', true, now(), now()
      from generate_series(0, ${Math.ceil(count / 3)}) i`);
    // Younger than a day: better-auth does not refresh them.
    await client.query(`
      insert into session (id, "expiresAt", token, "createdAt", "updatedAt", "ipAddress", "userAgent", "userId")
      select 'session-' || i, now() + interval '7 days', '${tokenPadding}' || ${digitsInSql}, now(), now(), '192.0.2.1',
        'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0', 'user-' || i / 3
      from generate_series(0, ${count - 1}) i`);
    for (const table of ['"user"', "session"]) await client.query(`vacuum analyze ${table}`);
    await client.query("checkpoint");
  } finally {
    await client.end();
  }
  bench.say(
    `${count} sessions stored for better-auth in ${((performance.now() - start) / 1000).toFixed(0)} s`,
  );
  // The first session of a user authenticates and the second is revoked, so that get-session always finds its own.
  const users = Math.floor(count / 3);
  const scattered = (call: number) => Math.floor((call * 0.618_033_988_7 * users) % users);
  const write = (name: string, callOf: (call: number) => Line) =>
    writeCalls(
      bench.directory,
      name,
      Array.from({ length: prepared }, (_, call) => callOf(call)),
    );
  return {
    server,
    database,
    getSession: write("get-session", (call) => ({
      headers: { cookie: betterAuthCookie(token(3 * scattered(call))) },
      body: "",
    })),
    revokeSession: write("revoke-session", (call) => ({
      headers: { cookie: betterAuthCookie(token(3 * (call % users))), origin: betterAuthOrigin },
      body: Buffer.from(JSON.stringify({ token: token(3 * (call % users) + 1) })).toString("base64"),
    })),
  };
}

export type BetterAuthCall = "get-session" | "revoke-session";

/** better-auth under load on 128 connections. Rejects if its calls do not do what they should. */
export async function betterAuthSubject(
  bench: Bench,
  peer: StoredBetterAuth,
  call: BetterAuthCall,
): Promise<Subject> {
  const { extent, load } = bench;
  let used = 0;
  const job = (): Job => ({
    url: peer.server.url,
    protocol: "http1",
    connections: 128,
    streams: 1,
    path: `/api/auth/${call}`,
    method: call === "get-session" ? "GET" : "POST",
    headers: { "content-type": "application/json" },
    body: Buffer.alloc(0),
    vary: {
      kind: "lines",
      file: call === "get-session" ? peer.getSession : peer.revokeSession,
      skip: used,
      again: call === "get-session",
    },
    expect: call === "get-session" ? '"session":{' : '{"status":true}',
    until: { seconds: extent.seconds },
  });
  const made = (calls: number) => {
    used += calls;
  };
  const before = await countSessions(bench, peer);
  const { made: first } = await load.run({ ...job(), until: { calls: 10 } });
  made(first);
  const deleted = before - (await countSessions(bench, peer));
  const expected = call === "get-session" ? 0 : first;
  if (deleted !== expected) throw new Error(`${first} calls of ${call} deleted ${deleted} sessions`);
  return loadSubject(load, { name: `better-auth ${call}`, pid: peer.server.pid, job, made });
}

async function countSessions(bench: Bench, { database }: StoredBetterAuth): Promise<number> {
  const [row] = await runSql<{ count: string }>(urlOf(bench, database), "select count(*) from session");
  return Number(row?.count);
}
