import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import {
  HealthCheckResponseSchema,
  type Health as HealthService,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../../gen/grpc/health/v1/health_pb.ts";
import { type Clock, systemClock } from "../../domain/clock.ts";
import { Readiness } from "./readiness.ts";

/** Options of {@link createHealth}; all durations are in milliseconds. */
export interface HealthOptions {
  /** Full names of the services; "", the server as a whole, is always known. */
  services: readonly string[];
  /** Checks whether the server can do its work. While the result is false or an error, nothing is SERVING. */
  ready: () => Promise<boolean>;
  /** How long a result of `ready` is reused (1 s by default). */
  readyMaxAgeMs?: number;
  /** Time limit of `ready` (2 s by default). */
  readyTimeoutMs?: number;
  /** How often `ready` is called while there is a watcher (5 s by default). */
  pollIntervalMs?: number;
  clock?: Clock;
}

/** The health of this server, for probes and for grpc.health.v1. */
export interface Health {
  /** Whether the server serves. For health checks over plain HTTP. */
  isServing(): Promise<boolean>;
  /** Reports NOT_SERVING from now on, because the server is about to stop. */
  drain(): void;
  readonly implementation: ServiceImpl<typeof HealthService>;
}

/** Creates the health of a server. The shutdown signal of the pipeline ends the streams of Watch. */
export function createHealth(options: HealthOptions): Health {
  const {
    readyMaxAgeMs = 1_000,
    readyTimeoutMs = 2_000,
    pollIntervalMs = 5_000,
    clock = systemClock,
  } = options;
  const known = new Set(["", ...options.services]);
  const watchers = new Set<() => void>();
  let isDraining = false;
  let cancelPoll: (() => void) | undefined;

  const wakeAll = () => {
    for (const wake of watchers) wake();
  };
  const readiness = new Readiness(
    { probe: options.ready, maxAgeMs: readyMaxAgeMs, timeoutMs: readyTimeoutMs, clock },
    wakeAll,
  );
  const status = () => (readiness.last && !isDraining ? ServingStatus.SERVING : ServingStatus.NOT_SERVING);

  const poll = () => {
    cancelPoll = clock.after(pollIntervalMs, () => {
      void readiness.check();
      poll();
    });
  };
  const subscribe = (wake: () => void) => {
    watchers.add(wake);
    if (cancelPoll === undefined) poll();
    return () => {
      watchers.delete(wake);
      if (watchers.size > 0) return;
      cancelPoll?.();
      cancelPoll = undefined;
    };
  };

  async function* watch(service: string, { signal }: HandlerContext) {
    let wake = () => {};
    const unsubscribe = subscribe(() => wake());
    const onAbort = () => wake();
    signal.addEventListener("abort", onAbort);
    try {
      await readiness.check();
      let last: ServingStatus | undefined;
      for (;;) {
        // The reason has a code, UNAVAILABLE at shutdown; an AbortError would reach the client as INTERNAL.
        if (signal.aborted) throw signal.reason;
        const current = known.has(service) ? status() : ServingStatus.SERVICE_UNKNOWN;
        if (current === last) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          continue;
        }
        last = current;
        yield { status: current };
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      unsubscribe();
    }
  }

  return {
    async isServing() {
      await readiness.check();
      return status() === ServingStatus.SERVING;
    },
    drain() {
      isDraining = true;
      wakeAll();
    },
    implementation: {
      async check({ service }) {
        await readiness.check();
        if (known.has(service)) return { status: status() };
        const message = "no service of this name here: List names those whose health is known";
        throw new ConnectError(message, Code.NotFound);
      },
      async list() {
        await readiness.check();
        const entry = (name: string) => [name, create(HealthCheckResponseSchema, { status: status() })];
        return { statuses: Object.fromEntries(Array.from(known, entry)) };
      },
      watch: ({ service }, context) => watch(service, context),
    },
  };
}
