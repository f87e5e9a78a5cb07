import type { RevocationId } from "../ids.ts";

/** A place in a project's log: a revision, and the id of the revocation there or of the start of the history. */
export interface Position {
  readonly revision: number;
  readonly id: RevocationId;
}

/**
 * The text of a position: the version of the form, the revision, and the id in base64url. Opaque to clients. The id tells two
 * histories apart that have the same revision.
 */
export function positionText({ revision, id }: Position): string {
  return `2.${revision}.${Buffer.from(id.replaceAll("-", ""), "hex").toString("base64url")}`;
}

/** 16 bytes in base64url: the last of the 22 characters has two bits. */
const form = /^2\.(0|[1-9]\d{0,15})\.([\w-]{21}[AQgw])$/;

/** Undefined if `text` is not the text of a position. */
export function parsePosition(text: string): Position | undefined {
  const [, digits, id = ""] = form.exec(text) ?? [];
  const revision = Number(digits);
  return Number.isSafeInteger(revision) ? { revision, id: uuidOf(Buffer.from(id, "base64url")) } : undefined;
}

function uuidOf(bytes: Buffer): RevocationId {
  const hex = bytes.toString("hex");
  const groups = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)];
  return groups.join("-") as RevocationId;
}
