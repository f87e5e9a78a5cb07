import { registerHooks } from "node:module";

const marker = "?replaced";

/**
 * Replaces exports of every module whose path ends in `file`: importers receive its other exports and those of `source`, which
 * is JavaScript. Writes a line to standard output when the module is loaded, so that the bench can check it.
 */
export function replaceExport(file: string, source: string): void {
  registerHooks({
    resolve(specifier, context, next) {
      const resolved = next(specifier, context);
      if (!resolved.url.endsWith(file) || context.parentURL?.endsWith(marker) === true) return resolved;
      return { ...resolved, url: resolved.url + marker };
    },
    load(url, context, next) {
      if (!url.endsWith(file + marker)) return next(url, context);
      process.stdout.write(`replaced ${file}\n`);
      const original = JSON.stringify(url.slice(0, -marker.length));
      return { format: "module", source: `export * from ${original};\n${source}`, shortCircuit: true };
    },
  });
}
