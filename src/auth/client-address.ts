import { type BlockList, isIP } from "node:net";
import type { Peer } from "./request-credentials.ts";

export interface TrustedProxies {
  /** Networks of the proxies. */
  readonly networks: BlockList;
  /** The header that the proxies write. Clients can send the other one. */
  readonly header: "x-forwarded-for" | "forwarded";
}

/**
 * Returns the address of a call's client: of the connection, or if that is a trusted proxy's, the last address in the header that
 * is not. Each proxy appends the address that it received the request from, so only what trusted proxies appended counts. An
 * entry that is no address ends the search: then the client is the proxy that wrote it.
 */
export function clientAddress(
  { address }: Peer,
  header: Headers,
  proxies: TrustedProxies | undefined,
): string | undefined {
  if (proxies === undefined || address === undefined) return address;
  const { networks } = proxies;
  const text = header.get(proxies.header) ?? "";
  const hops = text.split(",").map(proxies.header === "forwarded" ? forwardedFor : addressIn);
  let client = address;
  while (networks.check(client, isIP(client) === 6 ? "ipv6" : "ipv4")) {
    const next = hops.pop();
    if (next === undefined) break;
    client = next;
  }
  return client;
}

/** The `for` of an element of `Forwarded` (RFC 7239): `for=192.0.2.60;proto=http`, `for="[2001:db8::17]:4711"`. */
function forwardedFor(element: string): string | undefined {
  const [, quoted, token] = /(?:^|;)\s*for=(?:"([^"]*)"|([^;\s]*))/i.exec(element) ?? [];
  return addressIn(quoted ?? token ?? "");
}

/** An address, which may have a port; undefined for anything else, such as `unknown`. */
function addressIn(text: string): string | undefined {
  const [, bracketed, ipv4] = /^(?:\[([^\]]+)\](?::\d+)?|([\d.]+)(?::\d+)?)$/.exec(text.trim()) ?? [];
  const address = bracketed ?? ipv4 ?? text.trim();
  return isIP(address) === 0 ? undefined : address;
}

/**
 * What an address is counted by: an IPv4 address as it is, also in its IPv6 form (`::ffff:192.0.2.1`); the first 64 bits of an
 * IPv6 address, because one client usually has all addresses that differ in the rest.
 */
export function countedAddress(address: string): string {
  if (!address.includes(":")) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [text = ""] = address.split("%");
  const [before = [], after = []] = text
    .split("::")
    .map((part) => part.split(":").filter((group) => group !== ""));
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => "0");
  return `${[...before, ...zeros, ...after].slice(0, 4).join(":")}::/64`;
}
