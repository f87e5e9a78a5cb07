import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { type Sessiond, connectSessiond } from "../../client/client.ts";
import { errorInfoOf } from "../../client/error-info.ts";
import { readConfig } from "../../server/config/config.ts";
import { startService } from "../../server/service.ts";
import { table } from "../output/table.ts";
import { type DemoSession, type Ending, endings } from "./endings.ts";

const credential = { projectId: "demo", secret: "demo-secret" };

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
    const results = await playAll(`http://127.0.0.1:${service.port}`);
    const failures = results.filter(({ ok }) => !ok).length;
    const text = table<Result>(
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

interface Result {
  readonly ending: Ending;
  /** The outcomes of Authenticate before and after the session was ended. */
  readonly before: string;
  readonly answer: string;
  readonly after: string;
  readonly ok: boolean;
}

async function playAll(baseUrl: string): Promise<readonly Result[]> {
  const sessiond = connectSessiond({ baseUrl, credential });
  const { sessions } = sessiond;
  const results: Result[] = [];
  try {
    for (const [i, ending] of endings.entries()) {
      const session = await createSession(sessions, i);
      const other = await createSession(sessions, i);
      const before = await authenticate(sessions, session);
      const { answer, expected } =
        "call" in ending
          ? { answer: await grpcAnswer(ending.call(sessions, session)), expected: "OK" }
          : { answer: await restAnswer(baseUrl, ending, session, other), expected: String(ending.status) };
      const after = await authenticate(sessions, session);
      const ok = before === "accepted" && answer === expected && after.startsWith("refused");
      results.push({ ending, before, answer, after, ok });
    }
  } finally {
    sessiond.close();
  }
  return results;
}

type Sessions = Sessiond["sessions"];

async function createSession(sessions: Sessions, i: number): Promise<DemoSession> {
  const owner = { memberId: `member-${i}`, organizationId: `org-${i}` };
  const { session, token, jwt } = await sessions.create(owner);
  return { id: session?.id ?? "", ...owner, token, jwt };
}

async function authenticate(sessions: Sessions, { token }: DemoSession): Promise<string> {
  return sessions.authenticate({ credential: { case: "token", value: token } }).then(
    () => "accepted",
    (error: unknown) => `refused: ${errorInfoOf(error)?.reason ?? String(error)}`,
  );
}

async function grpcAnswer(response: Promise<{ revision: bigint }>): Promise<string> {
  return (await response).revision > 0n ? "OK" : "no revision";
}

async function restAnswer(
  baseUrl: string,
  { request, bodyOf }: Extract<Ending, { status: number }>,
  session: DemoSession,
  other: DemoSession,
): Promise<string> {
  const [method = "", path = ""] = request.replace("{id}", session.id).split(" ");
  const basic = Buffer.from(`${credential.projectId}:${credential.secret}`).toString("base64");
  const response = await fetch(
    baseUrl + path,
    bodyOf === undefined
      ? { method, headers: { authorization: `Bearer ${other.token}` } }
      : {
          method,
          headers: { authorization: `Basic ${basic}`, "content-type": "application/json" },
          body: JSON.stringify(bodyOf(session)),
        },
  );
  await response.arrayBuffer();
  return String(response.status);
}
