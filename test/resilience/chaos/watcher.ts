import { setTimeout as delay } from "node:timers/promises";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import type { WatchRevocationsResponse } from "../../../gen/session/v1/session_service_pb.ts";
import type { Revocation } from "../../../gen/session/v1/revocation_pb.ts";
import type { StreamStart } from "../../../src/client/subscribe.ts";
import { monotonic } from "./history.ts";
import type { Replica } from "./processes/replica.ts";

/** States that at this time no newer revision was committed. */
export interface Claim {
  readonly asOf: number;
  readonly revision: number;
}

/** Messages of consecutive streams, each resumed where the previous one ended. */
export interface WatchedLog {
  /** Revision before the first message. */
  readonly from: number;
  readonly revocations: Revocation[];
  readonly claims: Claim[];
}

const heartbeat = 200;
/** Milliseconds without a message, or of connecting, after which a watcher tries another replica. */
const silenceMs = 1500;

/** Milliseconds between attempts. */
const pause = 50;

/** Follows the log; changes replica when a stream ends. */
export class Watcher {
  readonly #replicas: readonly Replica[];
  readonly #stopping = new AbortController();
  readonly logs: WatchedLog[] = [];
  readonly endings: Partial<Record<string, number>> = {};
  readonly #running: Promise<void>;
  #current: WatchedLog | undefined;
  #revision: bigint | undefined;
  #position = "";

  constructor(replicas: readonly Replica[]) {
    this.#replicas = replicas;
    this.#running = this.#run();
  }

  get revision(): number {
    return Number(this.#revision ?? -1n);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let turn = Math.floor(Math.random() * 16); !this.#stopping.signal.aborted; turn++) {
      const replica = this.#replicas[turn % this.#replicas.length];
      if (replica === undefined) return;
      const ending = await this.#follow(replica).then(
        () => "ended",
        (error: unknown) => ConnectError.from(error).code,
      );
      const name = typeof ending === "string" ? ending : Code[ending];
      this.endings[name] = (this.endings[name] ?? 0) + 1;
      if (ending === Code.OutOfRange) this.#revision = undefined;
      await delay(pause);
    }
  }

  /** Reads one stream until it fails or is silent. */
  async #follow(replica: Replica): Promise<void> {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), silenceMs);
    try {
      const asked = monotonic();
      const stream = replica
        .connect(silenceMs)
        .watchRevocations(
          { start: this.#start(), heartbeat: durationFromMs(heartbeat) },
          { signal: AbortSignal.any([silence.signal, this.#stopping.signal]), timeoutMs: 0 },
        );
      for await (const message of stream) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), silenceMs);
        this.#take(message, asked);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #start(): StreamStart {
    return this.#revision === undefined
      ? { case: "oldest", value: {} }
      : { case: "after", value: this.#position };
  }

  #take(message: WatchRevocationsResponse, asked: number): void {
    if (this.#revision === undefined || this.#current === undefined) {
      const first = message.revocations[0]?.revision;
      const from = Number(first === undefined ? message.revision : first - 1n);
      this.#current = { from, revocations: [], claims: [] };
      this.logs.push(this.#current);
    }
    this.#current.revocations.push(...message.revocations);
    this.#revision = message.revision;
    this.#position = message.position;
    if (!message.upToDate) return;
    const elapsed = Number(message.readOffset?.seconds ?? 0) * 1000 + (message.readOffset?.nanos ?? 0) / 1e6;
    this.#current.claims.push({ asOf: asked + elapsed, revision: Number(message.revision) });
  }
}
