import type { AddressInfo } from "node:net";

/** Tells whoever started this process where it listens, on standard output, as sessiond does. */
export function announce(address: AddressInfo | string | null): void {
  if (address === null || typeof address === "string") {
    throw new Error("the server does not listen on a port");
  }
  process.stdout.write(`it listens on http://127.0.0.1:${address.port} now\n`);
}
