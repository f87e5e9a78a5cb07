import { readFileSync } from "node:fs";

/** The version of this package. */
export function version(): string {
  const file = new URL(import.meta.resolve("sessiond/package.json"));
  const read: unknown = JSON.parse(readFileSync(file, "utf8"));
  if (typeof read === "object" && read !== null && "version" in read && typeof read.version === "string") {
    return read.version;
  }
  throw new Error(`${file.pathname} names no version`);
}
