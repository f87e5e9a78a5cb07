import { type NetConnectOpts, Socket, connect } from "node:net";
import type { Client } from "pg";

/** Sent in place of a protocol version. */
const cancelCode = 80_877_102;

/** How long to wait for the database, in milliseconds. */
const timeout = 2_000;

/**
 * Asks the database to cancel the connection's current statement. Resolves once the request has arrived or failed. Until then
 * the connection must not run another statement, which could be cancelled instead. Never rejects: the database's timeout ends
 * the statement too.
 *
 * Sends the protocol's own message to the connection's host, because pg_cancel_backend does not work through a pooler. Like
 * libpq's PQcancel it is not encrypted.
 */
export function requestCancel(client: Client): Promise<void> {
  const at = addressOf(client);
  const key = keyOf(client);
  if (at === undefined || key === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    // Left open: PgBouncer forgets the request of a client that closes first.
    const socket = connect(at, () => socket.write(key));
    socket.setTimeout(timeout, () => socket.destroy());
    socket.on("error", () => undefined).once("close", () => resolve());
    // The database answers by closing the connection.
    socket.resume();
  });
}

function addressOf(client: Client): NetConnectOpts | undefined {
  if (!("connection" in client) || !("host" in client) || !("port" in client)) return undefined;
  const { connection, host, port } = client;
  if (typeof host === "string" && host.startsWith("/")) return { path: `${host}/.s.PGSQL.${String(port)}` };
  const { stream } = connection as { stream?: unknown };
  if (!(stream instanceof Socket)) return undefined;
  const { remoteAddress, remotePort } = stream;
  return remoteAddress === undefined || remotePort === undefined
    ? undefined
    : { host: remoteAddress, port: remotePort };
}

/** The message, with the process and secret of the connection. `pg` has both, without types. */
function keyOf(client: Client): Buffer | undefined {
  const { processID, secretKey } = client as { processID?: unknown; secretKey?: unknown };
  if (typeof processID !== "number" || typeof secretKey !== "number") return undefined;
  const message = Buffer.alloc(16);
  [16, cancelCode, processID, secretKey].forEach((value, i) => message.writeInt32BE(value, 4 * i));
  return message;
}
