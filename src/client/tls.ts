import type { ConnectionOptions } from "node:tls";

/**
 * How to recognise a service at an `https` address, and be recognised: what `tls.connect` of Node takes. `ca` is whom to trust
 * in place of the well-known authorities; `cert` and `key` are a client certificate, by which a service can call without a
 * secret. They are read for each connection: getters can tell of files that have changed.
 */
export type TlsClientOptions = Pick<ConnectionOptions, "ca" | "cert" | "key" | "servername">;
