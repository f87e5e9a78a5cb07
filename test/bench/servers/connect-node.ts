// A server on `@connectrpc/connect-node` that answers the no-op.
import { createServer } from "node:http2";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { announce } from "./announce.ts";
import { NoOpService, noOpAnswer } from "./no-op.ts";

const handler = connectNodeAdapter({
  routes: (router) => router.service(NoOpService, { check: () => noOpAnswer }),
});
const server = createServer(handler);
server.listen(0, "127.0.0.1", () => announce(server.address()));
