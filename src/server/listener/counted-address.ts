/**
 * A connection's address as limits count: IPv4 as it is, also where it comes to a socket of IPv6 (`::ffff:192.0.2.1`); of IPv6
 * the first 64 bits, since whoever has one address there has all that differ in the rest.
 */
export function countedAddress(address: string | undefined): string | undefined {
  if (address === undefined || !address.includes(":")) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [text = ""] = address.split("%");
  const [before = [], after = []] = text
    .split("::")
    .map((part) => part.split(":").filter((group) => group !== ""));
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => "0");
  return `${[...before, ...zeros, ...after].slice(0, 4).join(":")}::/64`;
}
