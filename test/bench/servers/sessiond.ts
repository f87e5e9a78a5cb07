// Run as a process of its own: `sessiond serve`, with the no-op beside its own services. So a no-op call passes all that any
// other call passes but the database. Tells over IPC what memory it holds when nothing is left to be collected.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { ConnectRouter } from "@connectrpc/connect";
import { serve } from "../../../src/cli/serve/serve.ts";
import { NoOpService, noOpAnswer } from "./no-op.ts";

const noOp = {
  service: NoOpService,
  routes: (router: ConnectRouter) => void router.service(NoOpService, { getBook: () => noOpAnswer }),
  access: Object.fromEntries(NoOpService.methods.map(({ localName }) => [localName, "public" as const])),
};

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

process.on("message", () => {
  // Twice: what the first run finalises the second one frees.
  collect();
  collect();
  const { heapUsed, rss } = process.memoryUsage();
  process.send?.({ heap: heapUsed, rss });
});

await serve(process.env, [noOp]);
