import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { JwtProfile, SignatureAlgorithm } from "../../../gen/session/v1/project_pb.ts";
import { newLogin } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf } from "../../support/fixtures/service-clients.ts";
import { otherFactors, stytchKinds } from "../../support/fixtures/stytch-factors.ts";

/** Where Python finds the package `stytch` and what it needs: pydantic 2, aiohttp, requests, PyJWT. */
const path = process.env["STYTCH_PYTHONPATH"];
const python = process.env["STYTCH_PYTHON"] ?? "python3";
if (path === undefined) {
  console.log(
    "skipped, because STYTCH_PYTHONPATH names no folder with stytchauth/stytch-python: its typed models",
  );
}

const service = await runningService();
const { projectId } = service;
const policy = { jwtProfile: JwtProfile.STYTCH };

interface Told {
  readonly keys: readonly (readonly string[])[];
  readonly consumer: readonly (readonly [user: string, factors: readonly string[][]])[];
  readonly b2b: readonly (readonly [member: string, organization: string, factors: readonly string[][]])[];
}

/** What Stytch's Python SDK says of these JWTs. */
async function sdk(jwts: {
  readonly consumer: readonly string[];
  readonly b2b: readonly string[];
}): Promise<Told> {
  const { url, secret } = service;
  const script = `${import.meta.dirname}/stytch_python.py`;
  // Not synchronously: the service answers from this process.
  const run = promisify(execFile)(python, [script], {
    env: { ...process.env, PYTHONPATH: path },
    timeout: 25_000,
  });
  run.child.stdin?.end(JSON.stringify({ url, secret, project_id: projectId, ...jwts }));
  const { stdout } = await run;
  return JSON.parse(stdout) as Told;
}

test.skipIf(path === undefined)("Stytch's typed SDK verifies JWTs with every kind of factor", async () => {
  await projectsOf(service).updatePolicy({ projectId, policy });
  const of = (organizationId: string) =>
    Promise.all(
      [...stytchKinds, ...otherFactors].map(({ method, deliveryMethod }) =>
        newLogin(service, { organizationId, authenticationFactors: [{ method, deliveryMethod }] }),
      ),
    );
  const [users, members] = [await of(""), await of("acme")];
  const told = await sdk({ consumer: users.map(({ jwt }) => jwt), b2b: members.map(({ jwt }) => jwt) });
  const factors = [...stytchKinds.map(({ shown }) => [shown]), ...otherFactors.map(() => [])];
  expect(told.consumer).toEqual(users.map(({ memberId }, i) => [memberId, factors[i]]));
  expect(told.b2b).toEqual(members.map(({ memberId }, i) => [memberId, "acme", factors[i]]));
  const [ofConsumer, ofB2b] = told.keys;
  expect(ofConsumer).toHaveLength(1);
  expect(ofB2b).toEqual(ofConsumer);
});

test.skipIf(path === undefined)("its typed models read a JWKS with keys of other algorithms", async () => {
  await projectsOf(service).updatePolicy({
    projectId,
    policy: { ...policy, signatureAlgorithm: SignatureAlgorithm.ES256 },
  });
  await projectsOf(service).rotateSigningKey({ projectId });
  const { keys } = await sdk({ consumer: [], b2b: [] });
  expect(keys.map(({ length }) => length)).toEqual([2, 2]);
});
