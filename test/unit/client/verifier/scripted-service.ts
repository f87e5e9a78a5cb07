import { randomUUID } from "node:crypto";
import type { ServerResponse } from "node:http";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { type CryptoKey, type JWK, SignJWT, exportJWK, generateKeyPair } from "jose";
import { onTestFinished } from "vitest";
import { SessionService } from "../../../../gen/session/v1/session_service_pb.ts";
import { RevocationScope } from "../../../../gen/session/v1/revocation_pb.ts";
import {
  type Verifier,
  type VerifierOptions,
  createVerifier,
} from "../../../../src/client/verifier/verifier.ts";
import { listening } from "../../server/listener/listening.ts";

type Watch = ServiceImpl<typeof SessionService>["watchRevocations"];
type Authenticate = ServiceImpl<typeof SessionService>["authenticate"];

export interface TestKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

/** A service with scripted answers, for behaviour that the real one does not show on demand. */
export interface ScriptedService {
  readonly url: string;
  readonly port: number;
  /** The published keys and the number of fetches. */
  readonly jwks: { keys: JWK[]; fetches: number; answer: (response: ServerResponse) => void };
  /** Answers WatchRevocations. By default it has caught up at revision 0 and stays silent. */
  watch: Watch;
  authenticate: Authenticate;
}

export const projectId = "scripted";

/** Starts a service that publishes these keys and runs until the test ends. */
export async function scriptedService(...keys: readonly TestKey[]): Promise<ScriptedService> {
  const jwks: ScriptedService["jwks"] = {
    keys: keys.map(({ jwk }) => jwk),
    fetches: 0,
    answer: (response) => response.end(JSON.stringify({ keys: jwks.keys })),
  };
  const rpc = connectNodeAdapter({
    routes: (router) =>
      router.service(SessionService, {
        watchRevocations: (request, context) => service.watch(request, context),
        authenticate: (request, context) => service.authenticate(request, context),
      }),
  });
  const { url, port } = await listening({
    // Verifiers cut connections.
    onError: () => undefined,
    handler: (request, response) => {
      if (request.url !== `/session/v1/projects/${projectId}/jwks`) return rpc(request, response);
      jwks.fetches++;
      jwks.answer(response as ServerResponse);
    },
  });
  const service: ScriptedService = {
    url,
    port,
    jwks,
    watch: (_request, context) => upToDate(context, 0),
    authenticate: () => {
      throw new ConnectError("not scripted", Code.Unavailable);
    },
  };
  return service;
}

/** A message that has caught up at `revision`, with a revocation there if its target is given. */
export function upToDateAt(revision: number, target?: { scope?: RevocationScope; targetId: string }) {
  const revocation = { revision: BigInt(revision), scope: RevocationScope.SESSION, ...target };
  const revocations = target === undefined ? [] : [revocation];
  return {
    revocations,
    revision: BigInt(revision),
    upToDate: true,
    readOffset: {},
    position: `at ${revision}`,
  };
}

/** A stream with this message, which then stays silent. */
export async function* upToDate(context: HandlerContext, ...message: Parameters<typeof upToDateAt>) {
  yield upToDateAt(...message);
  await silence(context);
}

/** Resolves when the stream ends. */
export function silence({ signal }: HandlerContext): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve());
    if (signal.aborted) resolve();
  });
}

/** A verifier that tolerates the silence of a scripted service. Closes with the test. */
export function verifierOf(service: ScriptedService, options: Partial<VerifierOptions> = {}): Verifier {
  const verifier = createVerifier({
    baseUrl: service.url,
    credential: { projectId, secret: "secret" },
    heartbeat: 20_000,
    maxStaleness: 60_000,
    ...options,
  });
  onTestFinished(() => verifier.close());
  return verifier;
}

export async function readyVerifier(...init: Parameters<typeof verifierOf>): Promise<Verifier> {
  const verifier = verifierOf(...init);
  await verifier.ready();
  return verifier;
}

export async function newKey(alg = "ES256", kid: string = randomUUID()): Promise<TestKey> {
  const pair = await generateKeyPair(alg, { extractable: true });
  const jwk = { ...(await exportJWK(pair.publicKey)), kid, alg, use: "sig" };
  return { kid, alg, privateKey: pair.privateKey, jwk };
}

/** The claims of a valid session JWT. */
export function goodClaims() {
  const now = Math.floor(Date.now() / 1000);
  return {
    iss: `sessiond/${projectId}`,
    aud: [projectId],
    sub: "ada",
    sid: randomUUID(),
    rev: 0,
    iat: now,
    nbf: now,
    exp: now + 300,
    jti: randomUUID(),
    organization_id: "acme",
    roles: ["admin"],
  };
}

/** Signs a JWT whose valid claims are replaced by `claims`. */
export function signed(
  { privateKey, alg, kid }: TestKey,
  claims: Readonly<Record<string, unknown>> = {},
  header: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  // Undefined removes a claim or header.
  return new SignJWT({ ...goodClaims(), ...claims })
    .setProtectedHeader({ alg, kid, typ: "JWT", ...header })
    .sign(privateKey);
}
