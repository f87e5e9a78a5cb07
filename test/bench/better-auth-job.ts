import { type Bench, databaseUrl, execute } from "./bench.ts";
import type { StoredBetterAuth } from "./data/better-auth.ts";
import type { Subject } from "./figures.ts";
import type { Job, RequestFile } from "./load/job.ts";
import { loadSubject } from "./load-subject.ts";

/** What better-auth is asked for. */
export type BetterAuthCall = "get-session" | "revoke-session";

/** better-auth under load: 128 connections. Fails where its calls do not do what they say. */
export async function betterAuthJob(
  bench: Bench,
  peer: StoredBetterAuth,
  call: BetterAuthCall,
): Promise<Subject> {
  const { extent, load } = bench;
  let used = 0;
  const file = (): RequestFile =>
    call === "get-session"
      ? { kind: "file", file: peer.getSession, skip: used, again: true }
      : { kind: "file", file: peer.revokeSession, skip: used, again: false };
  const job = (): Job => ({
    url: peer.server.url,
    protocol: "http1",
    connections: 128,
    streams: 1,
    path: `/api/auth/${call}`,
    method: call === "get-session" ? "GET" : "POST",
    headers: { "content-type": "application/json" },
    body: "",
    vary: file(),
    expect: call === "get-session" ? '"session":{' : '{"status":true}',
    until: { seconds: extent.seconds },
    warmUpSeconds: extent.warmUpSeconds,
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
  const [row] = await execute<{ count: string }>(
    databaseUrl(bench, database),
    "select count(*) from session",
  );
  return Number(row?.count);
}
