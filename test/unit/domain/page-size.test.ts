import type { ActingUser } from "../../../src/domain/ids.ts";
import { type JsonObject, create, toBinary } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { SessionSchema } from "../../../gen/session/v1/session_pb.ts";
import { ListResponseSchema } from "../../../gen/session/v1/session_service_pb.ts";
import { fittingRows, messageBytes } from "../../../src/domain/page-size.ts";
import { toSessionMessage } from "../../../src/rpc/messages/session-messages.ts";
import { at, memberId, newProject, newSession, organizationId } from "../../support/fixtures/stored.ts";

const text = (maxLength: number) => fc.string({ unit: "grapheme", minLength: 1, maxLength });
const factors = fc.array(fc.record({ method: text(9), deliveryMethod: text(9), assuranceLevel: text(9) }));
const rows = fc
  .record({
    member: text(99),
    userAgent: text(99),
    factors,
    roles: fc.array(text(9)),
    claims: fc.dictionary(text(9), fc.jsonValue({ maxDepth: 8 })),
    revoked: fc.option(text(99)),
  })
  .map((login) => ({
    ...newSession(newProject()),
    createdRevision: 1,
    memberId: memberId(login.member),
    organizationId: organizationId(login.member),
    device: { userAgent: login.userAgent, ipAddress: "192.0.2.1" },
    authenticationFactors: login.factors.map((factor) => ({ ...factor, authenticateTime: at(0) })),
    roles: login.roles,
    customClaims: login.claims as JsonObject,
    revocation:
      login.revoked === null
        ? undefined
        : {
            revision: 2 ** 50,
            scope: "session" as const,
            time: at(1),
            cause: "logout" as const,
            reason: login.revoked,
            actor: `member/${login.member}`,
            actingUser: login.revoked as ActingUser,
          },
  }));

test("no session takes more bytes than estimated, nor less than a tenth (property)", () => {
  const isRight = (session: Parameters<typeof toSessionMessage>[0]) => {
    const { length } = toBinary(SessionSchema, create(SessionSchema, toSessionMessage(session, at(2))));
    const estimated = messageBytes(session);
    return length + 4 <= estimated && estimated < 10 * length;
  };
  expect(fc.check(fc.property(rows, isRight)).counterexample).toBeNull();
});

test("a page of the largest sessions fits into 4 MiB, and one of ordinary sessions is not cut", () => {
  const session = { ...newSession(newProject()), createdRevision: 1, revocation: undefined };
  const ordinary = Array.from({ length: 1001 }, () => ({ ...session, customClaims: { plan: "gold" } }));
  expect(fittingRows(ordinary)).toBe(1001);
  // Numbers take the most bytes for their JSON.
  const customClaims = { a: Array.from({ length: 2040 }, () => 1) };
  const large = Array.from({ length: 1001 }, () => ({ ...session, customClaims }));
  const fitting = fittingRows(large);
  expect(fitting).toBeGreaterThan(64);
  const sessions = large.slice(0, fitting).map((row) => toSessionMessage(row, at(0)));
  expect(toBinary(ListResponseSchema, create(ListResponseSchema, { sessions })).length).toBeLessThan(
    4 * 2 ** 20,
  );
});

test("a row that is too large alone is a page", () => {
  expect(fittingRows(["x".repeat(5_000_000), "y"])).toBe(1);
  expect(fittingRows([])).toBe(0);
});
