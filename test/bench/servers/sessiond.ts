// Run as a process of its own: `sessiond serve`, with the no-op beside its own services. So a no-op call passes all that any
// other call passes but the database.
import type { ConnectRouter } from "@connectrpc/connect";
import { serve } from "../../../src/cli/serve.ts";
import { NoOpService, noOpAnswer } from "./no-op.ts";

const noOp = {
  service: NoOpService,
  routes: (router: ConnectRouter) => void router.service(NoOpService, { getBook: () => noOpAnswer }),
  access: Object.fromEntries(NoOpService.methods.map(({ localName }) => [localName, "public" as const])),
};
await serve(process.env, [noOp]);
