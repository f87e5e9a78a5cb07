import { setTimeout as delay } from "node:timers/promises";
import type { Deployment } from "./deployment.ts";
import type { Replica } from "./replica.ts";
import type { Recorder } from "../recorder.ts";
import type { VerifierProcess } from "./verifier.ts";

export interface FaultTargets {
  readonly deployment: Deployment;
  readonly replica: Replica;
  readonly verifier: VerifierProcess;
  /** Records what the fault does itself. */
  readonly recorder: Recorder;
}

/** A fault. `run` injects it and resolves after recovery. Durations in milliseconds. */
export interface Fault {
  readonly name: string;
  readonly run: (targets: FaultTargets) => Promise<void>;
}

/** Kills a replica (SIGKILL); starts it again after `down`. */
export function killReplica(down: number): Fault {
  return {
    name: "a replica is killed (SIGKILL)",
    async run({ replica }) {
      await replica.kill();
      await delay(down);
      await replica.start();
    },
  };
}

/** Immediate shutdown of PostgreSQL, like `pg_ctl stop -m immediate`; it recovers from its log. */
export const crashDatabase: Fault = {
  name: "PostgreSQL crashes (immediate shutdown)",
  run: ({ deployment }) => deployment.database.crash(),
};

/** Both at once, like a power failure. */
export const crashBoth: Fault = {
  name: "a replica is killed and PostgreSQL crashes at once",
  async run({ deployment, replica }) {
    await Promise.all([deployment.database.crash(), replica.kill()]);
    await replica.start();
  },
};

export const cutListeners: Fault = {
  name: "listeners are cut (pg_terminate_backend)",
  async run({ deployment: { sql } }) {
    await sql(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sessiond listener'",
    );
  },
};

export function freezeReplica(durationMs: number): Fault {
  return {
    name: "a replica is frozen (SIGSTOP)",
    run: ({ replica }) => freeze(replica, durationMs),
  };
}

export function freezeVerifier(durationMs: number): Fault {
  return {
    name: "a verifier is frozen (SIGSTOP)",
    run: ({ verifier }) => freeze(verifier, durationMs),
  };
}

async function freeze(target: Replica | VerifierProcess, durationMs: number): Promise<void> {
  target.freeze();
  try {
    await delay(durationMs);
  } finally {
    target.thaw();
  }
}

/** Cuts all database connections of all replicas, also in a statement. */
export const cutConnections: Fault = {
  name: "all database connections are cut",
  async run({ deployment: { sql } }) {
    await sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sessiond'");
  },
};
