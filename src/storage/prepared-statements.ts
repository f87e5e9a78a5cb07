import { createHash } from "node:crypto";
import type { PostgresPool, PostgresPoolClient } from "kysely";
import type { Pool, PoolClient } from "pg";

/**
 * A pool through which every statement with parameters is prepared once in each connection and only executed afterwards: the
 * database parses it once, and plans it only until it finds that a plan for all parameters is as good.
 *
 * What a connection keeps is bounded by the number of different texts, and those by the source: values are always parameters,
 * those of a batch one array each, so a text varies only in which of a few parts it has.
 * A prepared statement fails when its result has other columns than when it was prepared; so every statement names its
 * columns, lest a newer release that adds some to a table would fail this one.
 */
export function preparingPool(pool: Pool): PostgresPool {
  const prepared = new WeakMap<PoolClient, PostgresPoolClient>();
  return {
    options: pool.options,
    end: () => pool.end(),
    connect: async () => {
      const client = await pool.connect();
      const known = prepared.get(client);
      if (known !== undefined) return known;
      const preparing = preparingClient(client);
      prepared.set(client, preparing);
      return preparing;
    },
  };
}

function preparingClient(client: PoolClient): PostgresPoolClient {
  function query(text: unknown, values: readonly unknown[] = []): unknown {
    if (typeof text !== "string") throw new Error("statements are texts: no cursor is configured");
    return values.length === 0
      ? client.query(text)
      : client.query({ name: nameOf(text), text, values: [...values] });
  }
  return {
    // Kysely's type has an overload for cursors, and results that only the caller can know.
    query: query as PostgresPoolClient["query"],
    release: (destroy) => client.release(destroy),
  };
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
