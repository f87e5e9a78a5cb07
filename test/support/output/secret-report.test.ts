import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { type ProjectTag, newServiceSecret, newSessionToken } from "../../../src/domain/token.ts";
import type { Output, Secret } from "./output.ts";
import { findLeaks } from "./secret-report.ts";
import { SecretSearch } from "./secret-search.ts";

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
const jwt = [
  part({ alg: "ES256" }),
  part({ sub: "ada", sid: "x" }),
  randomBytes(64).toString("base64url"),
].join(".");
const [, payload = "", signature = ""] = jwt.split(".");
const masterKey = randomBytes(32).toString("base64");
const chosen = "a-secret/of--the-operator";
const unseen = "word-that-only-its-owner-knows";
const token = newSessionToken("AAAAAAAA" as ProjectTag);
const secret = newServiceSecret();

const search = new SecretSearch([
  { kind: "JWT", text: jwt },
  { kind: "master key", text: masterKey },
  { kind: "chosen", text: chosen },
  { kind: "short", text: "pa55word!" },
  { kind: "unseen", sha256: createHash("sha256").update(unseen).digest("hex") },
]);
const basic = (text: string) => Buffer.from(`project-1:${text}`).toString("base64");

test.each([
  ["a session token", token],
  ["a service secret within a word", `x${secret}`],
  ["a JWT that was not issued", `Bearer ${part({ alg: "HS256" })}.${part({ sub: "eve" })}.`],
  ["a session token in a Basic header", `Authorization: Basic ${basic(token)}`],
  ["a service secret in a URL's query", `/x?secret=${encodeURIComponent(secret).replaceAll("_", "%5F")}&a=1`],
  ["a private key", "-----BEGIN PRIVATE KEY-----"],
  ["a private JWK", '{"kty":"EC","d":"mZ0hPq5Vt9cQe1Zb4nVxLwq2JkT8yRfGs3DuXaIoP6M"}'],
  ["the payload of a JWT", `claims=${payload}`],
  ["the signature of a JWT", `"${signature}"`],
  ["a signature, cut short at both ends", signature.slice(20, 70)],
  ["a master key", `key: ${masterKey}`],
  ["a master key, escaped", encodeURIComponent(masterKey)],
  ["a chosen secret", `{"message":"${chosen} is wrong"}`],
  ["a chosen secret in a Basic header", `Basic ${basic(chosen)}`],
  ["a chosen secret in base64 after other text", `xy${Buffer.from(chosen).toString("base64url")}`],
  ["a chosen secret in hex", Buffer.from(chosen).toString("hex")],
  ["a short secret", "postgres://user:pa55word!@host/db"],
  ["a secret of which only the hash is known", `no credential ${unseen}.`.replace(".", " ")],
  ["a secret of which only the hash is known, in a Basic header", basic(unseen)],
  [
    "a secret of which only the hash is known, in a message of gRPC-Web",
    `no%20credential%20${unseen}%20here`,
  ],
  ["a secret of which only the hash is known, as a parameter", `secret=${unseen}`],
])("finds %s", (_, text) => {
  expect(search.kindsIn(`{"level":30,"msg":"call"}\n${text}\n`)).not.toEqual([]);
});

test.each([
  '{"level":30,"time":1763706241000,"request_id":"0190d4f3-7a34-7bb1-8ae0-4a1b2a0f0a9e","msg":"call"}',
  "POST /session.v1.SessionService/Authenticate 401 the credential is malformed, unknown or disabled",
  part({ alg: "ES256" }),
  `sha256 ${createHash("sha256").update("something else").digest("hex")}`,
  "[secret]",
])("does not report %s", (text) => {
  expect(search.kindsIn(text)).toEqual([]);
});

test("reports the place of a leak, without the secret", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sessiond-output-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const issued: Secret = { kind: "a bootstrap secret", text: chosen };
  const said: Output[] = ["listening", `refused: ${chosen}`].map((text) => ({
    file: "a.test.ts",
    source: "log",
    text,
  }));
  const lines = (entries: readonly object[]) => entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");
  await writeFile(join(folder, "secrets-1.jsonl"), lines([issued]));
  await writeFile(join(folder, "output-2.jsonl"), `${lines(said)}{"file":"half a li`);
  const leaks = await findLeaks(folder);
  expect(leaks).toEqual([
    {
      file: "a.test.ts",
      source: "log",
      kept: join(folder, "output-2.jsonl"),
      line: 2,
      kinds: ["a bootstrap secret"],
    },
  ]);
  expect(JSON.stringify(leaks)).not.toContain(chosen);
});
