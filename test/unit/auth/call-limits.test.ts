import { BlockList } from "node:net";
import { describe, expect, test } from "vitest";
import { CallLimits, type CallRates } from "../../../src/auth/call-limits.ts";
import type { Identity } from "../../../src/auth/identify.ts";
import { type Peer, unknownPeer } from "../../../src/auth/request-credentials.ts";
import { SessiondError } from "../../../src/domain/errors.ts";
import { manualClock } from "../rpc/manual-clock.ts";
import { serviceOf } from "../../support/fixtures/deployment.ts";
import { memberId, newProject, newSession } from "../../support/fixtures/stored.ts";

const none: CallRates = { service: undefined, member: undefined, address: undefined };
const gateway: Peer = { ...unknownPeer, address: "192.0.2.1" };
const project = newProject();
const service = serviceOf(project);
const asService: Identity = { service, caller: service };

function asMember(name: string, of?: Identity["service"]): Identity {
  const fresh = newSession(project, { memberId: memberId(name) });
  const session = { ...fresh, createdRevision: 0, revocation: undefined };
  return { service: of, caller: { kind: "member", project, session } };
}

/** The limit that refused a call; "" if none did. */
function limitOf(call: () => void): string {
  try {
    call();
    return "";
  } catch (error) {
    if (!(error instanceof SessiondError) || error.reason !== "RATE_LIMITED") throw error;
    return error.metadata["limit"] ?? "?";
  }
}

describe("callers", () => {
  test("each service credential, member and address has its own bucket", () => {
    const one = { perSecond: 1, burst: 1 };
    const limits = new CallLimits({ ...none, service: one, member: one, address: one }, manualClock());
    const count = (identity: Identity) => limitOf(() => limits.countCaller(identity));
    expect([asService, asService].map(count)).toEqual(["", "service"]);
    const another = serviceOf(project);
    expect(count({ service: another, caller: another })).toBe("");
    expect([asMember("ada"), asMember("ada"), asMember("bob")].map(count)).toEqual(["", "member", ""]);
    const address = (peer: Peer) => limitOf(() => limits.countAddress(peer, new Headers()));
    expect([gateway, gateway, { ...gateway, address: "192.0.2.2" }].map(address)).toEqual([
      "",
      "address",
      "",
    ]);
    expect([unknownPeer, unknownPeer].map(address), "an unknown address").toEqual(["", ""]);
  });

  test("a service that calls with a member session counts for both", () => {
    const rates = { ...none, service: { perSecond: 1, burst: 2 }, member: { perSecond: 1, burst: 1 } };
    const limits = new CallLimits(rates, manualClock());
    const calls = ["ada", "ada", "bob"].map((name) =>
      limitOf(() => limits.countCaller(asMember(name, service))),
    );
    expect(calls).toEqual(["", "member", "service"]);
  });
});

test("an address behind a trusted proxy has its own bucket; IPv6 addresses share one per /64", () => {
  const networks = new BlockList();
  networks.addAddress(gateway.address ?? "");
  const one = { perSecond: 1, burst: 1 };
  const limits = new CallLimits({ ...none, address: one }, manualClock(), {
    networks,
    header: "x-forwarded-for",
  });
  const count = (client: string, peer = gateway) =>
    limitOf(() => limits.countAddress(peer, new Headers({ "x-forwarded-for": client })));
  expect(["198.51.100.1", "198.51.100.2", "198.51.100.1"].map((client) => count(client))).toEqual([
    "",
    "",
    "address",
  ]);
  expect(["2001:db8::1", "2001:db8::2"].map((client) => count(client))).toEqual(["", "address"]);
  const stranger = { ...gateway, address: "192.0.2.2" };
  expect(["203.0.113.1", "203.0.113.2"].map((client) => count(client, stranger))).toEqual(["", "address"]);
});
