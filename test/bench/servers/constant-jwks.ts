// Preloaded into a server: GetJwks answers a constant, so that a REST call exists that does not ask the database.
import { replaceExport } from "./replace-export.ts";

const key = {
  kty: "EC",
  crv: "P-256",
  kid: "no-op",
  alg: "ES256",
  use: "sig",
  x: "x".repeat(43),
  y: "y".repeat(43),
};

replaceExport(
  "/domain/use-cases/signing-keys.ts",
  `const answer = { keys: [${JSON.stringify(key)}] };
  export async function getJwks() {
    return answer;
  }`,
);
