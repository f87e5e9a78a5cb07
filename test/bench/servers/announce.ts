import type { AddressInfo } from "node:net";

/** Prints the address of a server in the form that sessiond prints it. */
export function announce(address: AddressInfo | string | null): void {
  if (address === null || typeof address === "string") {
    throw new Error("the server does not listen on a port");
  }
  process.stdout.write(`it listens on http://127.0.0.1:${address.port} now\n`);
}
