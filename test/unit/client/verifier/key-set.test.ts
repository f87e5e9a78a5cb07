import { expect, test, vi } from "vitest";
import { patience } from "../../../support/patience.ts";
import { aheadClock } from "./verifier-clock.ts";
import { newKey, readyVerifier, scriptedService, signed, upToDate, upToDateAt } from "./scripted-service.ts";
import { RevocationScope } from "../../../../gen/session/v1/revocation_pb.ts";

test("concurrent JWTs cause one fetch, and a new key is found after the refetch interval", async () => {
  const [old, rotated] = [await newKey(), await newKey()];
  const service = await scriptedService(old);
  const clock = aheadClock();
  const verifier = await readyVerifier(service, {
    clock,
    jwksRefetchInterval: 60_000,
    maxStaleness: 86_400_000,
  });
  const jwts = await Promise.all(Array.from({ length: 20 }, () => signed(old)));
  const verdicts = await Promise.all(jwts.map((jwt) => verifier.verify(jwt)));
  expect(verdicts.every(({ ok }) => ok)).toBe(true);
  expect(service.jwks.fetches).toBe(1);

  service.jwks.keys = [old.jwk, rotated.jwk];
  const jwt = await signed(rotated);
  expect(await verifier.verify(jwt)).toMatchObject({ what: "key" });
  expect(service.jwks.fetches).toBe(1);
  clock.advance(60_000);
  expect(await verifier.verify(jwt)).toMatchObject({ ok: true });
  expect(service.jwks.fetches).toBe(2);
});

test("rejects as stale without keys, until a later fetch succeeds", async () => {
  const key = await newKey();
  const service = await scriptedService(key);
  const { answer } = service.jwks;
  service.jwks.answer = (response) => response.writeHead(503).end();
  const clock = aheadClock();
  const verifier = await readyVerifier(service, { clock, onStale: "accept" });
  expect(await verifier.verify(await signed(key))).toMatchObject({ ok: false, reason: "stale" });
  service.jwks.answer = answer;
  clock.advance(1000);
  expect(await verifier.verify(await signed(key))).toMatchObject({ ok: true });
  service.jwks.answer = (response) => response.end("not JSON");
  clock.advance(10_000);
  expect(await verifier.verify(await signed(await newKey()))).toMatchObject({ reason: "stale" });
  expect(await verifier.verify(await signed(key))).toMatchObject({ ok: true });
});

test("a revoked signing key is rejected at once, also for cached JWTs, and the next key is found at once", async () => {
  const [leaked, next] = [await newKey(), await newKey()];
  const service = await scriptedService(leaked);
  const revoke = Promise.withResolvers<void>();
  service.watch = async function* (_request, context) {
    yield upToDateAt(4);
    await revoke.promise;
    yield* upToDate(context, 5, { scope: RevocationScope.SIGNING_KEY, targetId: leaked.kid });
  };
  const verifier = await readyVerifier(service, { jwksRefetchInterval: 600_000 });
  const jwt = await signed(leaked, { rev: 9 });
  expect(await verifier.verify(jwt)).toMatchObject({ ok: true });
  service.jwks.keys = [next.jwk];
  revoke.resolve();
  await vi.waitUntil(() => verifier.status().revision === 5, patience);
  const rejection = { ok: false, reason: "revoked", scope: "signing_key", revision: 5 };
  expect(await verifier.verify(jwt)).toEqual(rejection);
  expect(await verifier.verify(await signed(leaked, { exp: 9_999_999_999 }))).toEqual(rejection);
  expect(await verifier.verify(await signed(next))).toMatchObject({ ok: true });
});

test("trusts only the keys of the current JWKS after a resynchronisation", async () => {
  const [withdrawn, next] = [await newKey(), await newKey()];
  const service = await scriptedService(withdrawn);
  const starts: unknown[] = [];
  const end = Promise.withResolvers<void>();
  service.watch = async function* (request, context) {
    starts.push(request.start.case);
    if (starts.length === 1) {
      yield upToDateAt(4);
      await end.promise;
    }
    yield* upToDate(context, 40);
  };
  const verifier = await readyVerifier(service);
  const jwt = await signed(withdrawn);
  expect(await verifier.verify(jwt)).toMatchObject({ ok: true });
  service.jwks.keys = [next.jwk];
  end.resolve();
  await vi.waitUntil(() => verifier.status().revision === 40, patience);
  expect(starts).toEqual(["snapshot", "snapshot"]);
  expect(await verifier.verify(jwt)).toMatchObject({ reason: "invalid", what: "key" });
});
