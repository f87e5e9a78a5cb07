import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";

const run = promisify(execFile);
const tsc = resolve("node_modules/.bin/tsc");
const compilerOptions =
  "--strict --noUncheckedSideEffectImports --module nodenext --target es2024 --types node --skipLibCheck";

/** Compiling takes seconds on an idle machine, and minutes on a busy one. */
export const compilePatience = 120_000;

/** An application that has installed this package. */
export interface Application {
  /** Compiles and runs a TypeScript program. Returns the lines that it prints. Rejects if it prints an error or fails. */
  run(name: string, program: string, args?: readonly string[]): Promise<readonly string[]>;
  remove(): Promise<void>;
}

/** Installs this package as npm does: its dependencies below it, and its peer dependencies as the application's own copies. */
export async function installPackage(): Promise<Application> {
  const folder = await mkdtemp(join(tmpdir(), "sessiond-application-"));
  const modules = join(folder, "node_modules");
  const installed = join(modules, "sessiond");
  mkdirSync(installed, { recursive: true });
  await run(tsc, ["-p", ".", "--outDir", join(installed, "dist")]);
  const manifest = readFileSync("package.json", "utf8");
  const { dependencies, peerDependencies }: Record<string, object> = JSON.parse(manifest);
  writeFileSync(join(installed, "package.json"), manifest);
  for (const name of Object.keys(dependencies ?? {})) link(name, join(installed, "node_modules"));
  for (const name of Object.keys(peerDependencies ?? {})) copyPackage(name, modules);
  for (const name of ["@types", "undici-types"]) link(name, modules);
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  return {
    async run(name, program, args = []) {
      writeFileSync(join(folder, `${name}.ts`), program);
      const compiled = run(tsc, [...compilerOptions.split(" "), `${name}.ts`], { cwd: folder });
      await compiled.catch((error: { stdout: string }) => {
        throw new Error(error.stdout);
      });
      const child = spawn(process.execPath, [`${name}.js`, ...args], { cwd: folder });
      const exited = once(child, "exit");
      const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
      const [code] = await exited;
      if (code !== 0 || errors !== "") throw new Error(`${name} exited with ${code}: ${errors}`);
      return output.trimEnd().split("\n");
    },
    remove: () => rm(folder, { recursive: true }),
  };
}

/** Copies a package into a folder `node_modules`, and links what it depends on. */
export function copyPackage(name: string, modules: string): void {
  const target = join(modules, name);
  cpSync(resolve("node_modules", name), target, { recursive: true });
  const { dependencies }: { dependencies?: object } = JSON.parse(
    readFileSync(join(target, "package.json"), "utf8"),
  );
  for (const dependency of Object.keys(dependencies ?? {})) link(dependency, join(target, "node_modules"));
}

function link(name: string, modules: string): void {
  const target = join(modules, name);
  mkdirSync(dirname(target), { recursive: true });
  symlinkSync(resolve("node_modules", name), target);
}
