import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { safeHost } from "../../../src/server/rpc/header-checks.ts";
import { listening } from "../server/listener/listening.ts";

/** Serves RPCs on a free port of the loopback until the test ends. */
export function serving(routes: (router: ConnectRouter) => void, shutdownSignal?: AbortSignal) {
  const signal = shutdownSignal === undefined ? {} : { shutdownSignal };
  return listening({ handler: safeHost(connectNodeAdapter({ routes, ...signal })) });
}
