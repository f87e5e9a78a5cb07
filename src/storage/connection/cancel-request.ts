import { type NetConnectOpts, Socket, connect } from "node:net";
import type { PoolClient } from "pg";

/** The code of a cancel request, in place of a protocol version. */
const cancelCode = 80_877_102;

/** How long the database may take over a request, in milliseconds. */
const patience = 2_000;

/**
 * Asks the database to end the statement that the connection runs. Resolves once the database has been told, or cannot be:
 * until then the connection must not be used for another statement, which could be hit in its place. Never rejects; the
 * database's timeout will end the statement too.
 *
 * The request goes the way of the connection itself, to the same host of several, by the protocol's own message rather than
 * pg_cancel_backend, as only that means the same through a pooler. Like that of libpq's PQcancel it is not encrypted.
 */
export function requestCancel(client: PoolClient): Promise<void> {
  const at = addressOf(client);
  const key = keyOf(client);
  if (at === undefined || key === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    const socket = connect(at, () => socket.end(key));
    socket.setTimeout(patience, () => socket.destroy());
    socket.on("error", () => undefined).once("close", () => resolve());
    // The database answers by closing the connection.
    socket.resume();
  });
}

function addressOf(client: PoolClient): NetConnectOpts | undefined {
  if (!("connection" in client) || !("host" in client) || !("port" in client)) return undefined;
  const { connection, host, port } = client;
  if (typeof host === "string" && host.startsWith("/")) return { path: `${host}/.s.PGSQL.${String(port)}` };
  const { stream } = connection as { stream?: unknown };
  // Where there is TLS, its socket tells the address too.
  if (!(stream instanceof Socket)) return undefined;
  const { remoteAddress, remotePort } = stream;
  return remoteAddress === undefined || remotePort === undefined
    ? undefined
    : { host: remoteAddress, port: remotePort };
}

/** The message: which connection, and the secret that its start told. `pg` keeps both without typing them. */
function keyOf(client: PoolClient): Buffer | undefined {
  const { processID, secretKey } = client as { processID?: unknown; secretKey?: unknown };
  if (typeof processID !== "number" || typeof secretKey !== "number") return undefined;
  const message = Buffer.alloc(16);
  [16, cancelCode, processID, secretKey].forEach((value, i) => message.writeInt32BE(value, 4 * i));
  return message;
}
