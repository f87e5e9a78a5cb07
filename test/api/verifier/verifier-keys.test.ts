import { once } from "node:events";
import { decodeProtectedHeader } from "jose";
import { expect, onTestFinished, test } from "vitest";
import { connectSessiond } from "../../../src/client/client.ts";
import { createVerifier } from "../../../src/client/verifier/verifier.ts";
import { runningService } from "../../support/fixtures/running-service.ts";

const service = await runningService();
const credential = { projectId: service.projectId, secret: service.secret };
const { sessions, projects } = connectSessiond({ baseUrl: service.url, credential });

test("a verifier rejects JWTs of a revoked key and accepts those of its successor", async () => {
  const { token, jwt } = await sessions.create({ memberId: "ada" });
  const { kid = "" } = decodeProtectedHeader(jwt);
  const verifier = createVerifier({ baseUrl: service.url, credential, onStale: "refuse" });
  onTestFinished(() => verifier.close());
  await verifier.ready();
  expect(await verifier.verify(jwt)).toMatchObject({ ok: true, claims: { memberId: "ada" } });

  const event = once(verifier.events, "revocation");
  await projects.revokeSigningKey({ projectId: credential.projectId, kid });
  await event;
  expect(await verifier.verify(jwt)).toMatchObject({ ok: false, reason: "revoked", scope: "signing_key" });

  const shown = { case: "token", value: token } as const;
  const fresh = await sessions.authenticate({ credential: shown, issueJwt: true });
  expect(decodeProtectedHeader(fresh.jwt).kid).not.toBe(kid);
  expect(await verifier.verify(fresh.jwt)).toMatchObject({ ok: true, claims: { memberId: "ada" } });
});
