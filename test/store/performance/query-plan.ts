import { CompiledQuery, type Kysely, sql } from "kysely";
import type { Tables } from "../../../src/storage/schema/tables.ts";

/** How the database reads tables to run a statement. */
export interface QueryPlan {
  /**
   * Every access to rows of a table, such as `sessions_pkey(project_id, id)`: the index, and the columns by
   * which it is searched. `Seq Scan on sessions` if it reads the whole table. Sorted, each once.
   */
  readonly accesses: readonly string[];
  /** The whole plan, for failures. */
  readonly text: string;
}

interface PlanNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Index Name"?: string;
  readonly "Index Cond"?: string;
  readonly Plans?: readonly PlanNode[];
}

type Explained = { readonly "QUERY PLAN": readonly [{ readonly Plan: PlanNode }] };

/** The plan for any parameters, as the database makes it for a prepared statement. */
export async function genericPlan(db: Kysely<Tables>, { sql: text, parameters }: CompiledQuery) {
  return db.connection().execute(async (connection) => {
    await sql.raw(`prepare explained as ${text}`).execute(connection);
    const nulls = parameters.map(() => "null").join(", ");
    const { rows } = await sql
      .raw<Explained>(`explain (format json) execute explained${nulls && `(${nulls})`}`)
      .execute(connection);
    await sql.raw("deallocate explained").execute(connection);
    return toPlan(rows[0]);
  });
}

/** The plan for the parameters of this call. */
export async function customPlan(db: Kysely<Tables>, { sql: text, parameters }: CompiledQuery) {
  const explain = CompiledQuery.raw(`explain (format json) ${text}`, [...parameters]);
  const { rows } = await db.executeQuery<Explained>(explain);
  return toPlan(rows[0]);
}

function toPlan(explained: Explained | undefined): QueryPlan {
  if (explained === undefined) throw new Error("the database returned no plan");
  const [{ Plan: root }] = explained["QUERY PLAN"];
  const accesses = new Set(nodesOf(root).flatMap((node) => accessOf(node) ?? []));
  return { accesses: [...accesses].toSorted(), text: JSON.stringify(root, undefined, 1) };
}

function nodesOf(node: PlanNode): readonly PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)];
}

/** Updates and inserts name a table too; bitmap scans name the table of their index. */
function accessOf(node: PlanNode): string | undefined {
  const { "Node Type": type, "Relation Name": relation, "Index Name": index } = node;
  if (index === undefined) {
    return relation !== undefined && /^(Seq|Sample|Tid)/.test(type) ? `${type} on ${relation}` : undefined;
  }
  const conditions = node["Index Cond"]?.matchAll(/\((?:\w+\.)?(\w+) (?:=|<|>|<=|>=) /g) ?? [];
  return `${index}(${[...new Set([...conditions].map(([, column]) => column))].join(", ")})`;
}
