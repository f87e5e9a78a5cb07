import { createHash } from "node:crypto";
import { type FieldDef, Query } from "pg";

/** A statement as it is sent. */
export interface StatementText {
  readonly text: string;
  /** Name of the prepared statement, derived from the text so that a pooler can share it between replicas. */
  readonly name: string;
}

/** A statement of the store. */
export class KnownStatement implements StatementText {
  readonly text: string;
  readonly name: string;
  /** Whether it starts with `select`. Others may write. */
  readonly isSelect: boolean;
  readonly #fenced: Partial<Record<Fence, StatementText>> = {};

  constructor(text: string) {
    this.text = text;
    this.name = nameOf(text);
    this.isSelect = /^\s*select\b/i.test(text);
  }

  /** See {@link fencedText}. */
  fencedBy(fence: Fence): StatementText {
    return (this.#fenced[fence] ??= new KnownStatement(fencedText(this.text, fence)));
  }
}

/**
 * The statements of the store by their texts. The number of different texts is bounded by the source code: values are always
 * parameters, and those of a batch are arrays.
 */
export class StatementTexts {
  readonly #known = new Map<string, KnownStatement>();

  of(text: string): KnownStatement {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const made = new KnownStatement(text);
    this.#known.set(text, made);
    return made;
  }
}

function nameOf(text: string): string {
  return `s_${createHash("sha256").update(text).digest("base64url").slice(0, 22)}`;
}

declare module "pg" {
  // What pg calls with the messages of the database.
  interface Query {
    handleRowDescription(message: { readonly fields: readonly FieldDef[] }): void;
    handleDataRow(message: { readonly fields: (string | null)[] }): void;
  }
}

/** How a read shows which server answered. */
const fences = {
  /** The timeline in hexadecimal; null if the server is a standby. */
  timeline:
    "case when not pg_is_in_recovery() then left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) end",
  /** Empty, or null if the server is a standby. For databases without timelines. */
  recovery: "case when not pg_is_in_recovery() then '' end",
} as const;

export type Fence = keyof typeof fences;

/** Fails if the database has no timelines. */
export const timelineProbe = `select ${fences.timeline}`;

/**
 * Adds two last columns to a read: whether the row was found, and the server. If the read finds nothing, it returns one row, which
 * is not found. The join keeps the order of the rows, because its other side has one row.
 */
export function fencedText(read: string, fence: Fence): string {
  return `select q.*, f.timeline as "sessiond.timeline"
    from (select ${fences[fence]} as timeline) f
    left join (select t.*, true as "sessiond.found" from (${read}
    ) t) q on true`;
}

/** Number of columns that a fence adds. */
const added = 2;

/** A fenced read. Takes the added columns and the row that is not found out of the answer before rows are parsed. */
export class FencedQuery extends Query {
  /** The timeline in hexadecimal; empty if the database has none. Null if a standby answered, or no row arrived. */
  timeline: string | null = null;

  override handleRowDescription({ fields }: { readonly fields: readonly FieldDef[] }): void {
    super.handleRowDescription({ fields: fields.slice(0, -added) });
  }

  override handleDataRow(message: { readonly fields: (string | null)[] }): void {
    const { fields } = message;
    const columns = fields.length - added;
    this.timeline = fields[columns + 1] ?? null;
    if (fields[columns] === null) return;
    fields.length = columns;
    super.handleDataRow(message);
  }
}
