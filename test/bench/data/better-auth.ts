import { open } from "node:fs/promises";
import { join } from "node:path";
import { Client } from "pg";
import { type Bench, databaseUrl, execute } from "../bench.ts";
import { cores } from "../pin.ts";
import type { BenchProcess } from "../processes.ts";
import { betterAuthCookie, betterAuthOrigin } from "../servers/better-auth-cookie.ts";
import { digitsInSql, digitsOf } from "./numbers.ts";

/** better-auth with as many sessions as the other side, likewise three a user, and files of calls to make. */
export interface StoredBetterAuth {
  readonly server: BenchProcess & { readonly url: string };
  readonly database: string;
  /** Each authenticates by another session. */
  readonly getSession: string;
  /** Each ends a session that no other ends, authenticated by another session of its user. */
  readonly revokeSession: string;
}

/** The token of a session: 32 characters, as better-auth's own have. */
const tokenPadding = "A".repeat(20);
const token = (number: number) => tokenPadding + digitsOf(number);
/** Calls of each kind that are prepared; they last longer than the bench. */
const prepared = 80_000;

/** Starts it on a database of its own. */
export async function storeBetterAuth(bench: Bench, count: number): Promise<StoredBetterAuth> {
  const start = performance.now();
  const database = "better_auth";
  await execute(bench.postgres.url, `create database ${database}`);
  const url = databaseUrl(bench, database);
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
    // Twice a session of seven days has been used for less than a day: it needs no refresh.
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
  // The first session of a user authenticates; the second is what is ended, so that get-session always finds its own.
  const users = Math.floor(count / 3);
  const scattered = (call: number) => Math.floor((call * 0.618_033_988_7 * users) % users);
  return {
    server,
    database,
    getSession: await writeCalls(bench, "get-session", (call) => ({
      headers: { cookie: betterAuthCookie(token(3 * scattered(call))) },
      body: "",
    })),
    revokeSession: await writeCalls(bench, "revoke-session", (call) => ({
      headers: { cookie: betterAuthCookie(token(3 * (call % users))), origin: betterAuthOrigin },
      body: JSON.stringify({ token: token(3 * (call % users) + 1) }),
    })),
  };
}

async function writeCalls(bench: Bench, name: string, callOf: (call: number) => object): Promise<string> {
  const path = join(bench.directory, `${name}.jsonl`);
  const file = await open(path, "w");
  const lines = Array.from({ length: prepared }, (_, call) => JSON.stringify(callOf(call)));
  await file.writeFile(lines.join("\n"));
  await file.close();
  return path;
}
