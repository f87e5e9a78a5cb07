import { setTimeout as delay } from "node:timers/promises";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import type {
  Revocation,
  WatchRevocationsRequest,
  WatchRevocationsResponse,
} from "../../../gen/session/v1/session_service_pb.ts";
import { monotonic } from "./monotonic.ts";
import type { Replica } from "./processes/replica.ts";

/** "As of this time, nothing newer than this revision was committed." */
export interface Claim {
  readonly asOf: number;
  readonly revision: number;
}

/** What one line of streams received, each resumed where the one before had ended. */
export interface Lineage {
  /** What it began after. */
  readonly from: number;
  readonly revocations: Revocation[];
  readonly claims: Claim[];
}

const heartbeat = 200;
/** Milliseconds of silence, or of trying to connect, after which a watcher turns to another replica. */
const impatience = 1500;

/** Milliseconds between two attempts. */
const pause = 50;

/** Follows the log across whatever replicas there are, as a careful client would. */
export class Watcher {
  readonly #replicas: readonly Replica[];
  readonly #stopping = new AbortController();
  readonly lineages: Lineage[] = [];
  /** How each stream ended, by code. */
  readonly endings: Partial<Record<string, number>> = {};
  readonly #running: Promise<void>;
  #current: Lineage | undefined;
  #revision: bigint | undefined;

  constructor(replicas: readonly Replica[]) {
    this.#replicas = replicas;
    this.#running = this.#run();
  }

  /** Everything up to this revision has been received. */
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

  /** Reads one stream until it fails or falls silent. */
  async #follow(replica: Replica): Promise<void> {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), impatience);
    try {
      const asked = monotonic();
      const stream = replica
        .connect(impatience)
        .watchRevocations(
          { start: this.#start(), heartbeat: durationFromMs(heartbeat) },
          { signal: AbortSignal.any([silence.signal, this.#stopping.signal]), timeoutMs: 0 },
        );
      for await (const message of stream) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), impatience);
        this.#take(message, asked);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #start(): Exclude<WatchRevocationsRequest["start"], { case: undefined }> {
    return this.#revision === undefined
      ? { case: "oldest", value: true }
      : { case: "afterRevision", value: this.#revision };
  }

  #take(message: WatchRevocationsResponse, asked: number): void {
    if (this.#revision === undefined || this.#current === undefined) {
      const first = message.revocations[0]?.revision;
      const from = Number(first === undefined ? message.revision : first - 1n);
      this.#current = { from, revocations: [], claims: [] };
      this.lineages.push(this.#current);
    }
    this.#current.revocations.push(...message.revocations);
    this.#revision = message.revision;
    if (!message.caughtUp) return;
    const elapsed = Number(message.elapsed?.seconds ?? 0) * 1000 + (message.elapsed?.nanos ?? 0) / 1e6;
    this.#current.claims.push({ asOf: asked + elapsed, revision: Number(message.revision) });
  }
}
