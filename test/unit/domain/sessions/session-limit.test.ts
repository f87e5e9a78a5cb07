import { expect, test } from "vitest";
import { type SessionId, newSessionId } from "../../../../src/domain/ids.ts";
import type { SessionLimitAction } from "../../../../src/domain/policy.ts";
import { type LimitedLogin, planLogins } from "../../../../src/domain/sessions/session-limit.ts";
import { memberId } from "../../../support/fixtures/stored.ts";

const ada = memberId("ada");
const ids = Array.from({ length: 6 }, newSessionId);
const login = (id: number, max: number, action: SessionLimitAction, member = ada): LimitedLogin => ({
  memberId: member,
  id: ids[id] as SessionId,
  limit: { max, action, actor: "service/login" },
});
const refused = { admitted: false, ends: [] };
const admitted = (...ends: number[]) => ({ admitted: true, ends: ends.map((i) => ids[i]) });
const active = (...of: number[]) => new Map([[ada, of.map((i) => ids[i] as SessionId)]]);

test("logins of a batch count earlier ones of the same member", () => {
  const bob = memberId("bob");
  const batch = [login(1, 2, "refuse"), login(2, 2, "refuse"), login(3, 2, "refuse", bob)];
  expect(planLogins(batch, active(0))).toEqual([admitted(), refused, admitted()]);
});

test("each login ends the oldest session, which may be of the same batch", () => {
  const batch = [login(2, 2, "end_oldest"), login(3, 2, "end_oldest"), login(4, 1, "end_oldest")];
  expect(planLogins(batch, active(0, 1))).toEqual([admitted(0), admitted(1), admitted(2, 3)]);
});

test("a limit below the number of sessions refuses, or ends all sessions beyond it", () => {
  expect(planLogins([login(4, 2, "refuse")], active(0, 1, 2))).toEqual([refused]);
  expect(planLogins([login(4, 2, "end_oldest")], active(0, 1, 2))).toEqual([admitted(0, 1)]);
});
