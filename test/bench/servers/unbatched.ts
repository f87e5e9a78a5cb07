// Preloaded into a server: every statement runs at once for one call alone. Everything else, statements included, is unchanged.
import { replaceExport } from "./replace-export.ts";

replaceExport(
  "/batcher.ts",
  `export class Batcher {
    #run;
    idle = true;
    constructor(run) {
      this.#run = run;
    }
    async submit(item) {
      const [result] = await this.#run([item]);
      return result;
    }
  }`,
);
