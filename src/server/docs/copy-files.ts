import { cpSync } from "node:fs";
import { viewerFiles } from "./files.ts";

// Copies what the pages need beside the compiled code. `npm run build` runs it.

cpSync("gen/openapi", "dist/gen/openapi", { recursive: true });
for (const name of [...viewerFiles, "LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"]) {
  cpSync(`node_modules/swagger-ui-dist/${name}`, `dist/swagger-ui/${name}`, { dereference: true });
}
