/**
 * Where a reader of a project's log stands. Opaque to clients, so that it can name more than the revision later. The first
 * number is the version of the form.
 */
export function positionOf(revision: number): string {
  return `1.${revision}`;
}

/** The revision of a position; undefined if `text` is not one. */
export function parsePosition(text: string): { readonly after: number } | undefined {
  const [, revision] = /^1\.(0|[1-9]\d{0,15})$/.exec(text) ?? [];
  const after = Number(revision);
  return Number.isSafeInteger(after) ? { after } : undefined;
}
