/**
 * Session JWTs that a verifier checks per second and core: cold (signature checked) and cached, beside bare jose.jwtVerify,
 * which knows no revocation. In one process, in alternating rounds. CPU time of all threads counts, because jose checks
 * signatures in a pool of threads. Then the memory of a million revoked sessions, in another process. Run: npm run bench:verify
 */
import { execFileSync } from "node:child_process";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { SignJWT, exportJWK, generateKeyPair, jwtVerify } from "jose";
import { v7 } from "uuid";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { RevocationScope } from "../../../gen/session/v1/revocation_pb.ts";
import { createVerifier } from "../../../src/client/verifier/verifier.ts";
import { median } from "../figures.ts";
import { machine } from "../machine.ts";
import { createListener } from "../../../src/server/listener/listener.ts";

const rounds = 9;
const jwtsPerRound = 300;
const cachedPasses = 40;
const projectId = "bench";
const revoked = 10_000;

const pair = await generateKeyPair("ES256");
const jwk = { ...(await exportJWK(pair.publicKey)), kid: "k", alg: "ES256", use: "sig" };

const rpc = connectNodeAdapter({
  routes: (router) =>
    router.service(SessionService, {
      async *watchRevocations(_request, { signal }) {
        const revocations = Array.from({ length: revoked }, (_, i) => ({
          revision: BigInt(i + 1),
          scope: RevocationScope.SESSION,
          targetId: v7(),
        }));
        yield { revocations, revision: BigInt(revoked), upToDate: true, readOffset: {} };
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      },
    }),
});
const listener = createListener({
  handler: (request, response) => {
    if (request.url?.startsWith("/session/v1/projects/") !== true) return rpc(request, response);
    // TypeScript cannot call the union of both overloads.
    if ("stream" in response) response.end();
    else response.end(JSON.stringify({ keys: [jwk] }));
  },
  onError: () => undefined,
});
const { port } = await listener.listen({ host: "127.0.0.1", port: 0 });
const verifier = createVerifier({
  baseUrl: `http://127.0.0.1:${port}`,
  credential: { projectId, secret: "unused" },
  maxStaleness: 3_600_000,
  heartbeat: 60_000,
});
await verifier.ready();

/** CPU time of each of `count` verifications in microseconds. */
async function microsecondsEach(count: number, run: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}

async function verifyAll(jwts: readonly string[]): Promise<void> {
  for (const jwt of jwts) if (!(await verifier.verify(jwt)).ok) throw new Error("a valid JWT was rejected");
}

const figures = { jose: [] as number[], cold: [] as number[], cached: [] as number[] };
for (let round = 0; round <= rounds; round++) {
  const jwts = await Promise.all(Array.from({ length: jwtsPerRound }, newJwt));
  const issuer = `sessiond/${projectId}`;
  const jose = await microsecondsEach(jwts.length, async () => {
    for (const jwt of jwts) {
      await jwtVerify(jwt, pair.publicKey, {
        issuer,
        audience: projectId,
        algorithms: ["ES256"],
        typ: "JWT",
      });
    }
  });
  const cold = await microsecondsEach(jwts.length, () => verifyAll(jwts));
  const cached = await microsecondsEach(jwts.length * cachedPasses, async () => {
    for (let pass = 0; pass < cachedPasses; pass++) await verifyAll(jwts);
  });
  if (round === 0) continue; // Warms up.
  figures.jose.push(jose);
  figures.cold.push(cold);
  figures.cached.push(cached);
}
await verifier.close();
await listener.drain(0);

const [jose, cold, cached] = [median(figures.jose), median(figures.cold), median(figures.cached)];
const perSecond = (microseconds: number) => `${Math.round(1e6 / microseconds).toLocaleString("en")}/s`;
console.log(
  `paired ratios, median of ${rounds} rounds of ${jwtsPerRound} ES256 JWTs, ${revoked} revocations held:`,
);
console.log(`  cold   is ${ratio(figures.jose, figures.cold)} times as fast as bare jose.jwtVerify`);
console.log(`  cached is ${ratio(figures.jose, figures.cached)} times as fast as bare jose.jwtVerify`);
console.log(
  `per second and core: jose ${perSecond(jose)}, cold ${perSecond(cold)}, cached ${perSecond(cached)}`,
);
console.log(`on ${machine()}`);
console.log("memory:");
const memory = new URL("verifier-memory.ts", import.meta.url).pathname;
console.log(execFileSync(process.execPath, ["--expose-gc", memory], { encoding: "utf8" }).trimEnd());

function newJwt(): Promise<string> {
  return new SignJWT({ sid: v7(), organization_id: "acme", roles: ["member"], rev: 0 })
    .setProtectedHeader({ alg: "ES256", kid: "k", typ: "JWT" })
    .setIssuer(`sessiond/${projectId}`)
    .setAudience([projectId])
    .setSubject("ada")
    .setIssuedAt()
    .setNotBefore(Math.floor(Date.now() / 1000))
    .setExpirationTime("5m")
    .setJti(crypto.randomUUID())
    .sign(pair.privateKey);
}

function ratio(base: readonly number[], own: readonly number[]): string {
  return median(base.map((value, i) => value / (own[i] ?? Number.NaN))).toFixed(1);
}
