import { setTimeout as delay } from "node:timers/promises";
import type { Deployment } from "./deployment.ts";
import type { Replica } from "./replica.ts";
import type { VerifierProcess } from "./verifier.ts";

/** What something can happen to. */
export interface Scene {
  readonly deployment: Deployment;
  readonly replica: Replica;
  readonly verifier: VerifierProcess;
}

/** Something that goes wrong while the service works; resolves when it has been mended. Durations in milliseconds. */
export interface Fault {
  readonly name: string;
  readonly run: (scene: Scene) => Promise<void>;
}

/** `kill -9` of a replica; it is started again after `down`. */
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

/** PostgreSQL stops without finishing anything, as `pg_ctl stop -m immediate` has it, and recovers from its log. */
export const crashDatabase: Fault = {
  name: "PostgreSQL crashes (immediate shutdown)",
  run: ({ deployment }) => crash(deployment),
};

/** Both in the same moment, as when a machine loses its power. */
export const crashBoth: Fault = {
  name: "a replica is killed and PostgreSQL crashes at once",
  async run({ deployment, replica }) {
    await Promise.all([crash(deployment), replica.kill()]);
    await replica.start();
  },
};

/** Resolves when it runs again. */
async function crash({ postgres }: Deployment): Promise<void> {
  const crashed = postgres.pid();
  if (crashed === undefined) throw new Error("PostgreSQL does not run: there is nothing to crash");
  process.kill(crashed, "SIGQUIT");
  while (postgres.pid() === undefined || postgres.pid() === crashed) await delay(20);
}

/** The connections on which replicas hear of commits are cut. */
export const cutListeners: Fault = {
  name: "listeners are cut (pg_terminate_backend)",
  async run({ deployment: { sql } }) {
    await sql(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sessiond listener'",
    );
  },
};

/** A replica stands still, with all its connections open. */
export function freezeReplica(still: number): Fault {
  return {
    name: "a replica stands still (SIGSTOP)",
    async run({ replica }) {
      replica.freeze();
      try {
        await delay(still);
      } finally {
        replica.thaw();
      }
    },
  };
}

/** A verifier stands still; with it what it was asked. */
export function freezeVerifier(still: number): Fault {
  return {
    name: "a verifier stands still (SIGSTOP)",
    async run({ verifier }) {
      verifier.freeze();
      try {
        await delay(still);
      } finally {
        verifier.thaw();
      }
    },
  };
}

/** All database connections of all replicas are cut, mid-statement. */
export const cutConnections: Fault = {
  name: "all database connections are cut",
  async run({ deployment: { sql } }) {
    await sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sessiond'");
  },
};
