import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { defaultLimits } from "../../../src/server/listener/limits.ts";
import { type ServerProcess, startServerProcess } from "../../support/process/server-process.ts";
import type { Attack } from "./attack.ts";
import type { Attacker } from "./attacker.ts";
import { maxHeapMegabytes } from "./bound.ts";
import { http1Attacks } from "./http1-attacks.ts";
import { bodyAttacks, http2Attacks } from "./http2-attacks.ts";

/** What one attack came to; memory is resident, in megabytes. */
export interface Outcome {
  readonly attack: string;
  readonly connections: number;
  readonly cut: number;
  readonly before: number;
  readonly peak: number;
  /** Calls of an ordinary client meanwhile. */
  readonly served: number;
  readonly refused: readonly string[];
}

/** How hard to besiege. */
export interface SiegeOptions {
  /** What of each attack's size. */
  readonly scale: number;
  /** Wait until the limits have ended what they end. */
  readonly patient: boolean;
  readonly tell: (outcome: Outcome) => void;
}

/** Besieges a service in a process of its own with one attack after the other. Rejects when the process ends. */
export async function besiege({ scale, patient, tell }: SiegeOptions): Promise<Outcome[]> {
  const server = await startServerProcess({
    environment: { SESSIOND_LOG_LEVEL: "error", NODE_OPTIONS: `--max-old-space-size=${maxHeapMegabytes}` },
  });
  const outcomes: Outcome[] = [];
  try {
    for (const attack of [...http1Attacks, ...http2Attacks, ...bodyAttacks]) {
      const outcome = await suffer(server, attack, Math.max(2, Math.ceil(attack.size * scale)), patient);
      outcomes.push(outcome);
      tell(outcome);
    }
  } finally {
    await server.stop();
  }
  return outcomes;
}

async function suffer(
  server: ServerProcess,
  attack: Attack,
  size: number,
  patient: boolean,
): Promise<Outcome> {
  const prey = { port: server.port, isTls: false, basic: server.basic };
  const before = residentMegabytes(server.pid, "VmRSS");
  forgetPeak(server.pid);
  const running = attack.run(prey, size);
  const refused: string[] = [];
  let served = 0;
  const call = async () => {
    const complaint = await ordinaryCall(server);
    if (complaint === undefined) served++;
    else refused.push(complaint);
  };
  for (let i = 0; i < 5; i++) await call();
  const attackers = await running;
  for (let i = 0; i < 5; i++) await call();
  if (patient && attack.patience !== undefined) await outlast(attackers, attack.patience);
  await call();
  const peak = residentMegabytes(server.pid, "VmHWM");
  const cut = attackers.filter((attacker) => attacker.isCut()).length;
  for (const { socket } of attackers) socket.destroy();
  if (server.hasEnded()) {
    throw new Error(`${attack.name}: the process ended: ${server.errorLines.join("\n")}`);
  }
  return { attack: attack.name, connections: attackers.length, cut, before, peak, served, refused };
}

const patience = {
  headers: defaultLimits.headersTimeoutMs,
  request: defaultLimits.requestTimeoutMs,
  unread: defaultLimits.unreadTimeoutMs,
} as const;

/** Waits until all are cut, or as long as the limit, twice what it is looked at, takes. */
async function outlast(attackers: readonly Attacker[], limit: keyof typeof patience): Promise<void> {
  const all = Promise.all(attackers.map((attacker) => attacker.cut));
  const over = new AbortController();
  await Promise.race([
    all,
    delay(patience[limit] * 1.5 + 10_000, undefined, { signal: over.signal }).catch(() => {}),
  ]);
  over.abort();
}

/** A call on a connection of its own; what was wrong with it, or undefined. */
async function ordinaryCall(server: ServerProcess): Promise<string | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${server.port}/session.v1.SessionService/Create`, {
      method: "POST",
      headers: { authorization: server.basic, "content-type": "application/json", connection: "close" },
      body: JSON.stringify({ memberId: "ordinary" }),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    return response.status === 200 ? undefined : `${response.status} ${text}`;
  } catch (error) {
    return String(error);
  }
}

/** Linux keeps such accounts; elsewhere memory goes unmeasured, as 0. */
const isAccounted = process.platform === "linux";

function residentMegabytes(pid: number, name: "VmRSS" | "VmHWM"): number {
  if (!isAccounted) return 0;
  const [, kilobytes] =
    new RegExp(`${name}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Math.round(Number(kilobytes) / 1024);
}

/** Has VmHWM begin anew. */
function forgetPeak(pid: number): void {
  if (isAccounted) writeFileSync(`/proc/${pid}/clear_refs`, "5");
}
