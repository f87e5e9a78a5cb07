import { createHash } from "node:crypto";
import type { PostgresPool, PostgresPoolClient } from "kysely";
import { DatabaseError, type Pool, type PoolClient } from "pg";
import type { Hosts } from "./hosts.ts";
import { runBounded } from "./bounded-statement.ts";
import { statementBounds } from "./statement-bounds.ts";
import { toParameter } from "./pg-types.ts";

/** How connections are used. */
export interface PooledConnectionsOptions {
  /** Where the pool connects to. */
  readonly hosts: Hosts;
  /** Whether they keep prepared statements. */
  readonly prepare: boolean;
  /** How long a statement may run, in milliseconds; 0 for as long as it takes. */
  readonly statementTimeoutMs: number;
  /** Told when the database ended one with its answer to a statement. */
  readonly onConnectionError: (error: Error) => void;
}

/**
 * The pool as Kysely sees it. With `prepare`, every statement with parameters is prepared once in each connection and only
 * executed afterwards: the database parses and plans it once.
 *
 * What a connection keeps is bounded by the number of different texts, and those by the source: values are always parameters,
 * those of a batch one array each, so a text varies only in which of a few parts it has.
 * A prepared statement fails when its result has other columns than when it was prepared; so every statement names its
 * columns, lest a newer release that adds some to a table would fail this one.
 */
export function pooledConnections(pool: Pool, options: PooledConnectionsOptions): PostgresPool {
  const connections = new WeakMap<PoolClient, PostgresPoolClient>();
  return {
    options: pool.options,
    end: () => pool.end(),
    connect: async () => {
      const client = await connectTo(pool, options.hosts);
      const known = connections.get(client);
      if (known !== undefined) return known;
      const connection = connectionOf(client, options);
      connections.set(client, connection);
      return connection;
    },
  };
}

/** A connection, at whichever host of several takes it: each is tried once. */
async function connectTo(pool: Pool, hosts: Hosts): Promise<PoolClient> {
  for (let tries = 1; ; tries++) {
    const tried = hosts.current;
    try {
      return await pool.connect();
    } catch (error) {
      hosts.leave(tried);
      if (tries >= hosts.count) throw error;
    }
  }
}

function connectionOf(
  client: PoolClient,
  { prepare, statementTimeoutMs, onConnectionError }: PooledConnectionsOptions,
): PostgresPoolClient {
  let ending = false;
  let inTransaction = false;
  let unconfirmed = false;
  client.on("notice", (notice) => {
    if (isUnconfirmedCommit(notice)) unconfirmed = true;
  });
  const confirmed = <Result>(result: Result): Result => {
    if (!unconfirmed) return result;
    unconfirmed = false;
    throw new Error(unconfirmedCommit);
  };
  const onFailure = (error: unknown): never => {
    if (endsConnection(error)) {
      ending = true;
      onConnectionError(error);
    }
    throw error;
  };
  function query(text: unknown, values: readonly unknown[] = []): unknown {
    if (typeof text !== "string") throw new Error("statements are texts: no cursor is configured");
    const name = prepare && values.length > 0 ? { name: nameOf(text) } : {};
    const statement = { ...name, text, values: values.map(toParameter) };
    // What begins and ends a transaction has no parameters, and must be let through.
    const bounds = values.length === 0 ? undefined : statementBounds();
    if (values.length === 0) inTransaction = isOpenAfter(text, inTransaction);
    return bounds === undefined
      ? client.query(statement).then(confirmed, onFailure)
      : runBounded({ client, statement, bounds, inTransaction, statementTimeoutMs }).then(
          confirmed,
          onFailure,
        );
  }
  return {
    // Kysely's type has an overload for cursors, and results that only the caller can know.
    query: query as PostgresPoolClient["query"],
    // The pool would hand it out again until it sees the connection's end.
    release: (destroy) => client.release(destroy === true || ending),
  };
}

/** What a call is told whose commit stands here, but perhaps on no standby: whether it outlives this host is not known. */
export const unconfirmedCommit = "the database gave up waiting for its synchronous standby";

/**
 * Whether the database says so, which it does beside its answer that all went well, when an operator cancels what waits. By
 * the place in its source, since its words may be in any language.
 */
function isUnconfirmedCommit({ routine }: { readonly routine?: string | undefined }): boolean {
  return routine === "SyncRepWaitForLSN";
}

/** Whether a transaction is open after a statement without parameters. */
function isOpenAfter(text: string, before: boolean): boolean {
  if (/^(begin|start transaction)\b/.test(text)) return true;
  return before && text !== "commit" && text !== "rollback";
}

/**
 * Whether the connection is of no more use: the database said, as its last words, that it ends it (class 57P, an operator's
 * intervention, and 08), or it became a standby (25006).
 */
function endsConnection(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && /^(57P|08|25006)/.test(error.code ?? "");
}

const names = new Map<string, string>();

/** The name of a statement: the same for the same text on every replica, so that a pooler between may share it. */
function nameOf(text: string): string {
  const known = names.get(text);
  if (known !== undefined) return known;
  const name = `s_${createHash("sha256").update(text).digest("base64url").slice(0, 22)}`;
  names.set(text, name);
  return name;
}
