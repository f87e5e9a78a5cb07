import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { generateApi } from "swagger-typescript-api";
import { expect, onTestFinished, test } from "vitest";
import { runningService } from "../../support/fixtures/running-service.ts";
import { compilePatience } from "../../support/process/installed-package.ts";

const run = promisify(execFile);
const service = await runningService();

/** Uses the client as an application does. A wrong type is an error of the compiler. */
const program = `
import { Api, SessionState } from "./client.ts";

const [, , baseUrl = "", authorization = ""] = process.argv;
const { session: api } = new Api({ baseUrl, baseApiParams: { headers: { authorization } } });

const created = await api.create({ memberId: "alice", lifetime: "60s" });
const { session, token } = created.data;
const state: SessionState | undefined = session?.state;
// @ts-expect-error: answers are typed
const wrong: number = token;

const revoked = await api.revoke(session?.id ?? "", { reason: "lost laptop" });
const revision: string = revoked.data.revision;
const refused = await api.authenticate({ token }).catch((answer: { status: number; error: unknown }) => answer);
console.log(JSON.stringify({ state, token: typeof wrong, revision, count: revoked.data.revokedCount, refused: refused.status }));
`;

test(
  "a client generated from /openapi.json compiles, creates a session and revokes it",
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "sessiond-client-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    await generateApi({
      url: `${service.url}/openapi.json`,
      output: folder,
      fileName: "client.ts",
      silent: true,
      hooks: verbsInPaths,
    });
    await writeFile(join(folder, "program.ts"), program);
    await writeFile(join(folder, "package.json"), '{"type":"module"}');
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
    const compiled = run(resolve("node_modules/.bin/tsc"), ["-p", folder]);
    await compiled.catch((error: { stdout: string }) => {
      throw new Error(error.stdout);
    });
    const { stdout } = await run(process.execPath, [join(folder, "program.js"), service.url, service.basic]);
    expect(JSON.parse(stdout)).toEqual({
      state: "SESSION_STATE_ACTIVE",
      token: "string",
      revision: "1",
      count: "1",
      refused: 401,
    });
  },
  compilePatience,
);

const compilerOptions = {
  strict: true,
  noUncheckedIndexedAccess: true,
  module: "nodenext",
  target: "es2024",
  lib: ["es2024", "dom"],
  types: ["node"],
  typeRoots: [resolve("node_modules/@types")],
  rewriteRelativeImportExtensions: true,
};

/** The generator takes the verb of `/sessions:revoke` for a parameter, as in routes of Express: hides its colon meanwhile. */
const verbsInPaths = {
  onPreBuildRoutePath: (path: string) => path.replace(":", "\u2236"),
  onBuildRoutePath: <Route extends { route: string }>(data: Route) => ({
    ...data,
    route: data.route.replace("\u2236", ":"),
  }),
};
