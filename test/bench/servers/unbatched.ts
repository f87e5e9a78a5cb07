// Preloaded into a server: every statement is made for one call alone, at once. All else, statements included, stays as it is.
import { registerHooks } from "node:module";

const passThrough = new URL("pass-through.ts", import.meta.url).href;

registerHooks({
  resolve: (specifier, context, next) =>
    /\/storage\/[^/]+$/.test(context.parentURL ?? "") && specifier.endsWith("/batcher.ts")
      ? { url: passThrough, shortCircuit: true }
      : next(specifier, context),
});
