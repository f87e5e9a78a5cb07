import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { type Sessiond, connectSessiond } from "../../client/client.ts";
import { errorInfoOf } from "../../client/error-info.ts";
import { readConfig } from "../../server/config/config.ts";
import { startService } from "../../server/service.ts";
import { table } from "../output/table.ts";
import { type DemoSession, type RestEnding, endings } from "./endings.ts";

const credential = { projectId: "demo", secret: randomBytes(32).toString("base64url") };

/**
 * Shows the main use case on a service and a database of its own, which are removed afterwards. For each way to end a session
 * it creates one, and authenticates it before and after. Exits with 1 if an answer is not the expected one.
 */
export async function demo(): Promise<void> {
  const dataDirectory = await mkdtemp(join(tmpdir(), "sessiond-demo-"));
  const read = readConfig({
    SESSIOND_LISTEN: "127.0.0.1:0",
    SESSIOND_DATA_DIR: join(dataDirectory, "data"),
    SESSIOND_BOOTSTRAP_PROJECT: `${credential.projectId}:${credential.secret}`,
  });
  if ("problems" in read) throw new Error(read.problems.join("; "));
  process.stdout.write("Starting a service on an embedded PostgreSQL ...\n\n");
  const service = await startService(read.config, pino({ level: "silent" }));
  try {
    const results = await endSessions(`http://127.0.0.1:${service.port}`);
    const failures = results.filter(({ ok }) => !ok).length;
    const text = table<(typeof results)[number]>(
      {
        "#": (_, i) => String(i + 1),
        "ended by": ({ ending }) => ending.by,
        request: ({ ending }) => ending.request,
        before: ({ before }) => before,
        answer: ({ answer }) => answer,
        after: ({ after }) => after,
      },
      results,
    );
    const verdict = failures === 0 ? "All answers are as expected." : `${failures} answers are wrong.`;
    process.stdout.write(`${text}\n\n${verdict}\n`);
    process.exitCode = failures === 0 ? 0 : 1;
  } finally {
    await service.stop();
    await rm(dataDirectory, { recursive: true, force: true });
  }
}

async function endSessions(baseUrl: string) {
  const { sessions, ...sessiond } = connectSessiond({ baseUrl, credential });
  const results = [];
  try {
    for (const [i, ending] of endings.entries()) {
      const owner = { memberId: `member-${i}`, organizationId: `org-${i}` };
      const { session, token, jwt } = await sessions.create(owner);
      const other = await sessions.create(owner);
      const ended = { id: session?.id ?? "", ...owner, token, jwt };
      const before = await authenticate(sessions, token);
      const answer =
        "call" in ending
          ? await ending.call(sessions, ended)
          : await sendRest(baseUrl, ending, ended, other.token);
      const after = await authenticate(sessions, token);
      const ok = before === "accepted" && answer === ending.answer && after.startsWith("refused");
      results.push({ ending, before, answer, after, ok });
    }
  } finally {
    sessiond.close();
  }
  return results;
}

async function authenticate(sessions: Sessiond["sessions"], token: string): Promise<string> {
  return sessions.authenticate({ credential: { case: "token", value: token } }).then(
    () => "accepted",
    (error: unknown) => `refused: ${errorInfoOf(error)?.reason ?? String(error)}`,
  );
}

/** Sends a request of the service, or without a body one of the member, who has another token. Returns the HTTP status. */
async function sendRest(
  baseUrl: string,
  { request, bodyOf }: RestEnding,
  session: DemoSession,
  otherToken: string,
): Promise<string> {
  const [method = "", path = ""] = request.replace("{id}", session.id).split(" ");
  const basic = Buffer.from(`${credential.projectId}:${credential.secret}`).toString("base64");
  const authorization = bodyOf === undefined ? `Bearer ${otherToken}` : `Basic ${basic}`;
  const body = bodyOf && JSON.stringify(bodyOf(session));
  const response = await fetch(baseUrl + path, {
    method,
    headers: { authorization, ...(body && { "content-type": "application/json" }) },
    ...(body && { body }),
  });
  await response.arrayBuffer();
  return String(response.status);
}
