import { readFileSync } from "node:fs";
import type { Client } from "pg";

/** The statements and answers of the code of one schema, on one connection. */
export interface Recording {
  /** Each text once, with the name of its prepared statement if it has one. */
  readonly statements: readonly { readonly name?: string; readonly text: string }[];
  readonly exchanges: readonly Exchange[];
}

/** A statement with its answer. */
export interface Exchange {
  /** Index of the statement. */
  readonly statement: number;
  readonly values: readonly Value[];
  readonly answer: Answer;
}

/** Rows as the database sent them, or the SQLSTATE of a failure. */
export type Answer =
  | { readonly columns: readonly string[]; readonly rows: readonly (readonly (string | null)[])[] }
  | { readonly error: string };

/** A parameter in JSON. */
export type Value =
  | string
  | number
  | boolean
  | null
  | { readonly time: string }
  | { readonly bytes: string }
  | readonly Value[];

/** Reads the recording that is named by the newest migration of its code. */
export function readRecording(name: string): Recording {
  return JSON.parse(readFileSync(new URL(`recorded/${name}.json`, import.meta.url), "utf8"));
}

/** A statement for pg. */
export interface Asked {
  readonly name?: string | undefined;
  readonly text: string;
  readonly values?: readonly unknown[] | undefined;
}

/** Runs a statement by `query` and records the answer. The client must run nothing else meanwhile. */
export async function listen(client: Client, query: () => Promise<unknown>): Promise<Answer> {
  const columns: string[] = [];
  const rows: (string | null)[][] = [];
  const onDescription = ({ fields }: { fields: { name: string }[] }) =>
    columns.push(...fields.map(({ name }) => name));
  const onRow = ({ fields }: { fields: (string | null)[] }) => rows.push([...fields]);
  const { connection } = client;
  connection.on("rowDescription", onDescription).on("dataRow", onRow);
  try {
    await query();
    return { columns, rows };
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === undefined) throw error;
    return { error: code };
  } finally {
    connection.off("rowDescription", onDescription).off("dataRow", onRow);
  }
}

/** Converts a parameter to JSON; throws for unsupported types. */
export function toValue(value: unknown): Value {
  if (value === undefined || value === null) return null;
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  if (value instanceof Date) return { time: value.toISOString() };
  if (Buffer.isBuffer(value)) return { bytes: value.toString("base64") };
  if (Array.isArray(value)) return value.map(toValue);
  throw new Error(`no form for the parameter ${JSON.stringify(value)}`);
}

/** Converts a parameter from JSON. */
export function fromValue(value: Value): unknown {
  if (value === null || typeof value !== "object") return value;
  if ("time" in value) return new Date(value.time);
  if ("bytes" in value) return Buffer.from(value.bytes, "base64");
  return value.map(fromValue);
}
