import { readFile } from "node:fs/promises";

/** Files of swagger-ui-dist that the page needs. */
export const viewerFiles = ["swagger-ui.css", "swagger-ui-bundle.js"] as const;

/** Reads an OpenAPI document, which is beside the generated stubs. */
export function readDocument(name: string): Promise<Uint8Array> {
  return readFile(new URL(`../../../gen/openapi/${name}.json`, import.meta.url));
}

/** Reads a file of the viewer: of the copy in `dist`, or of the development dependency. Undefined if neither is installed. */
export async function readViewerFile(name: (typeof viewerFiles)[number]): Promise<Uint8Array | undefined> {
  const copy = new URL(`../../../swagger-ui/${name}`, import.meta.url);
  return (await readIfPresent(copy)) ?? readIfPresent(dependencyFile(name));
}

async function readIfPresent(file: URL | undefined): Promise<Uint8Array | undefined> {
  if (file === undefined) return undefined;
  try {
    return await readFile(file);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

function dependencyFile(name: string): URL | undefined {
  try {
    return new URL(import.meta.resolve(`swagger-ui-dist/${name}`));
  } catch {
    return undefined;
  }
}
