import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import {
  HealthCheckResponseSchema,
  type Health as HealthService,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../../gen/grpc/health/v1/health_pb.ts";
import { type Clock, systemClock } from "../../domain/clock.ts";
import { createReadiness } from "./readiness.ts";

/** What a service can say of itself; SERVICE_UNKNOWN is for services nobody has set. */
export type ServiceStatus = "serving" | "not_serving";

/** Options of {@link createHealth}; all durations are in milliseconds. */
export interface HealthOptions {
  /** Whether the server can do its work, e.g. the database answers. While it says no or fails, nothing is SERVING. */
  ready: () => Promise<boolean>;
  /** How long an answer of `ready` is good for (1 s by default). Checks arriving together share one call. */
  readyMaxAgeMs?: number;
  /** When a `ready` that does not answer counts as no (2 s by default). */
  readyTimeoutMs?: number;
  /** How often `ready` is asked while somebody watches (5 s by default). */
  pollIntervalMs?: number;
  clock?: Clock;
}

/** The health of this server: what its parts say, and the implementation of grpc.health.v1 that tells others. */
export interface Health {
  /** Sets what a service says of itself. The name is the full one, such as "session.v1.SessionService"; "" is the server as a whole, which serves from the start. */
  set(service: string, status: ServiceStatus): void;
  /** Whether the server as a whole serves, asking `ready` as Check does. For health checks over plain HTTP. */
  isServing(): Promise<boolean>;
  /** Says NOT_SERVING for everything from now on, whatever is set later: the server is about to stop. */
  drain(): void;
  /**
   * For `router.service(Health, …)`. Pass a `shutdownSignal` with a reason (UNAVAILABLE) to the adapter: that
   * is what ends the streams of Watch.
   */
  readonly implementation: ServiceImpl<typeof HealthService>;
}

/** Creates the health of a server whose only known service is "" (see {@link Health.set}). */
export function createHealth(options: HealthOptions): Health {
  const {
    readyMaxAgeMs = 1_000,
    readyTimeoutMs = 2_000,
    pollIntervalMs = 5_000,
    clock = systemClock,
  } = options;
  const statuses = new Map<string, ServiceStatus>([["", "serving"]]);
  const watchers = new Set<() => void>();
  let draining = false;
  let cancelPoll: (() => void) | undefined;

  const announce = () => {
    for (const wake of watchers) wake();
  };
  const readiness = createReadiness(
    { probe: options.ready, maxAgeMs: readyMaxAgeMs, timeoutMs: readyTimeoutMs, clock },
    announce,
  );

  const shown = (status: ServiceStatus) =>
    status === "serving" && readiness.last && !draining ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  const statusOf = (service: string) => {
    const status = statuses.get(service);
    return status === undefined ? undefined : shown(status);
  };

  const poll = () => {
    cancelPoll = clock.after(pollIntervalMs, () => {
      void readiness.ask();
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
      await readiness.ask();
      let last: ServingStatus | undefined;
      for (;;) {
        // The reason says why the call ends, UNAVAILABLE at shutdown; an AbortError would reach the client as INTERNAL.
        if (signal.aborted) throw signal.reason;
        const status = statusOf(service) ?? ServingStatus.SERVICE_UNKNOWN;
        if (status === last) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          continue;
        }
        last = status;
        yield { status };
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      unsubscribe();
    }
  }

  return {
    set(service, status) {
      statuses.set(service, status);
      announce();
    },
    async isServing() {
      await readiness.ask();
      return statusOf("") === ServingStatus.SERVING;
    },
    drain() {
      draining = true;
      announce();
    },
    implementation: {
      async check({ service }) {
        await readiness.ask();
        const status = statusOf(service);
        if (status === undefined) throw unknownService();
        return { status };
      },
      async list() {
        await readiness.ask();
        const entry = ([service, status]: [string, ServiceStatus]) =>
          [service, create(HealthCheckResponseSchema, { status: shown(status) })] as const;
        return { statuses: Object.fromEntries(Array.from(statuses, entry)) };
      },
      watch: ({ service }, context) => watch(service, context),
    },
  };
}

function unknownService(): ConnectError {
  return new ConnectError(
    "no service of this name here: List names those whose health is known",
    Code.NotFound,
  );
}
