import { execFile } from "node:child_process";
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

const run = promisify(execFile);
const tsc = resolve("node_modules/.bin/tsc");

/** What a user of the package writes. */
const program = `
import { credentials, type ServiceError } from "@grpc/grpc-js";
import { create } from "@bufbuild/protobuf";
import { connectSessiond } from "sessiond/client";
import { grpcClient, grpcServiceDefinition } from "sessiond/grpc";
import { errorInfoOf } from "sessiond/error-info";
import { createTranscoder } from "sessiond/rest";
import { RevokeRequestSchema, SessionService } from "sessiond/gen/session/v1/session_service_pb";
import { SessionState } from "sessiond/gen/session/v1/session_pb";
import { SessionService as Stytch } from "sessiond/gen/compat/stytch/v1/session_service_pb";

const { sessions } = connectSessiond({ baseUrl: "http://127.0.0.1:1", defaultTimeoutMs: 500 });
const client = grpcClient(SessionService, "127.0.0.1:1", credentials.createInsecure());
client.close();
const refused: unknown = await sessions.get({ id: "x" }).catch((error: unknown) => error);
const request = create(RevokeRequestSchema, { target: { case: "memberId", value: "alice" } });
// @ts-expect-error: the stubs are typed
const wrong: ServiceError = request;
console.log(JSON.stringify({
  method: SessionService.method.revoke.name,
  definition: Object.keys(grpcServiceDefinition(SessionService)).length,
  active: SessionState.ACTIVE,
  stytch: Stytch.typeName,
  info: errorInfoOf(refused) ?? null,
  routes: createTranscoder({ services: [] }).routes.length,
  target: wrong === undefined ? null : request.target.case,
}));
`;

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sessiond-user-"));
  const installed = join(folder, "node_modules", "sessiond");
  mkdirSync(installed, { recursive: true });
  await run(tsc, ["-p", ".", "--outDir", join(installed, "dist")]);
  cpSync("package.json", join(installed, "package.json"));
  for (const scope of ["@grpc", "@bufbuild", "@connectrpc", "@types", "undici-types"]) {
    symlinkSync(resolve("node_modules", scope), join(folder, "node_modules", scope));
  }
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  writeFileSync(join(folder, "user.ts"), program);
});

afterAll(() => rm(folder, { recursive: true }));

test("a user of the package gets typed stubs and clients from its exports", async () => {
  const strict = [
    "--strict",
    "--module",
    "nodenext",
    "--target",
    "es2024",
    "--types",
    "node",
    "--skipLibCheck",
  ];
  await run(tsc, [...strict, "--noUncheckedSideEffectImports", "user.ts"], { cwd: folder });
  const { stdout } = await run(process.execPath, ["user.js"], { cwd: folder });
  expect(JSON.parse(stdout)).toEqual({
    method: "Revoke",
    definition: 10,
    active: 1,
    stytch: "compat.stytch.v1.SessionService",
    info: null,
    routes: 0,
    target: "memberId",
  });
});
