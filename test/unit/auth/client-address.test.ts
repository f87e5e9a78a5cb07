import { BlockList } from "node:net";
import { describe, expect, test } from "vitest";
import { type TrustedProxies, clientAddress, countedAddress } from "../../../src/auth/client-address.ts";
import { unknownPeer } from "../../../src/auth/request-credentials.ts";

const networks = new BlockList();
networks.addSubnet("10.0.0.0", 8, "ipv4");
networks.addSubnet("2001:db8:ffff::", 48, "ipv6");

/** The client of a call from this connection with this header. */
function clientOf(address: string, headers: Record<string, string>, header: TrustedProxies["header"]) {
  return clientAddress({ ...unknownPeer, address }, new Headers(headers), { networks, header });
}

describe("X-Forwarded-For of a trusted proxy", () => {
  test.each([
    ["one client", "192.0.2.1", "192.0.2.1"],
    ["further trusted proxies", "192.0.2.1, 10.1.2.3,10.0.0.1", "192.0.2.1"],
    ["what the client itself sent", "198.51.100.9, 192.0.2.1, 10.0.0.1", "192.0.2.1"],
    ["trusted proxies only", "10.9.9.9, 10.0.0.1", "10.9.9.9"],
    ["an address with a port", "192.0.2.1:4711", "192.0.2.1"],
    ["IPv6", "2001:db8::1", "2001:db8::1"],
    ["IPv6 with a port", "[2001:db8::1]:4711", "2001:db8::1"],
    ["a trusted proxy with IPv6", "192.0.2.1, 2001:db8:ffff::1", "192.0.2.1"],
    ["no address", "192.0.2.1, unknown", "10.0.0.2"],
    ["no address before a trusted proxy", "192.0.2.1, _hidden, 10.0.0.9", "10.0.0.9"],
    ["nothing", "", "10.0.0.2"],
    ["an empty entry", "192.0.2.1,", "10.0.0.2"],
  ])("%s", (_, value, client) => {
    expect(clientOf("10.0.0.2", { "x-forwarded-for": value }, "x-forwarded-for")).toBe(client);
    expect(clientOf("::ffff:10.0.0.2", { "x-forwarded-for": "192.0.2.1" }, "x-forwarded-for")).toBe(
      "192.0.2.1",
    );
  });

  test("counts only from a trusted proxy, and if it is the named header", () => {
    expect(clientOf("192.0.2.7", { "x-forwarded-for": "192.0.2.1" }, "x-forwarded-for")).toBe("192.0.2.7");
    expect(clientOf("10.0.0.2", { "x-forwarded-for": "192.0.2.1" }, "forwarded")).toBe("10.0.0.2");
    expect(clientOf("10.0.0.2", { forwarded: "for=192.0.2.1" }, "x-forwarded-for")).toBe("10.0.0.2");
    const peer = { ...unknownPeer, address: "10.0.0.2" };
    expect(clientAddress(peer, new Headers({ "x-forwarded-for": "192.0.2.1" }), undefined)).toBe("10.0.0.2");
  });
});

test.each([
  ["for=192.0.2.1", "192.0.2.1"],
  ["For=192.0.2.1;proto=https;by=10.0.0.3", "192.0.2.1"],
  ["proto=https; for=192.0.2.1", "192.0.2.1"],
  ['for="[2001:db8::1]:4711"', "2001:db8::1"],
  ['for="192.0.2.1:4711", for=10.0.0.4', "192.0.2.1"],
  ["for=192.0.2.1, for=unknown", "10.0.0.2"],
  ["for=192.0.2.1, for=_gateway", "10.0.0.2"],
  ["by=192.0.2.1", "10.0.0.2"],
  ["xfor=192.0.2.1", "10.0.0.2"],
])("Forwarded: %s", (value, client) => {
  expect(clientOf("10.0.0.2", { forwarded: value }, "forwarded")).toBe(client);
});

test.each([
  ["192.0.2.7", "192.0.2.7"],
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["::1", "0:0:0:0::/64"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:db8:1:2::", "2001:db8:1:2::/64"],
  ["2001:db8:1::5:6", "2001:db8:1:0::/64"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
])("limits count the address %s as %s", (address, counted) => {
  expect(countedAddress(address)).toBe(counted);
});
