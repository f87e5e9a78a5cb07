import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { defaultLimits } from "../../../src/server/listener/limits.ts";
import { type ServerProcess, startServerProcess } from "../../support/process/server-process.ts";
import type { Attack, Attacker } from "./attacker.ts";
import { http1Attacks } from "./http1-attacks.ts";
import { http2Attacks } from "./http2-attacks.ts";

/** Heap limit of the server, in megabytes. A process that keeps more alive ends. */
const maxHeapMegabytes = 512;

/** Bound of the resident memory of the server, in megabytes. */
export const maxResidentMegabytes = 1024;

/** Result of an attack. `before` and `peak` are resident memory, in megabytes. */
export interface Outcome {
  readonly attack: string;
  readonly connections: number;
  readonly cut: number;
  readonly before: number;
  readonly peak: number;
  /** Calls of an ordinary client during the attack: number of successes, and failures. */
  readonly served: number;
  readonly refused: readonly string[];
}

interface SiegeOptions {
  /** Factor of the size of each attack. */
  readonly scale: number;
  /** Whether to wait until slow limits end the attacks. */
  readonly patient: boolean;
  readonly report?: (outcome: Outcome) => void;
}

/** Makes the attacks in sequence on a service in its own process. Rejects if the process ends. */
export async function besiege({ scale, patient, report }: SiegeOptions): Promise<Outcome[]> {
  const server = await startServerProcess({
    environment: { SESSIOND_LOG_LEVEL: "error", NODE_OPTIONS: `--max-old-space-size=${maxHeapMegabytes}` },
  });
  const outcomes: Outcome[] = [];
  try {
    for (const attack of [...http1Attacks, ...http2Attacks]) {
      const outcome = await measure(server, attack, Math.max(2, Math.ceil(attack.size * scale)), patient);
      outcomes.push(outcome);
      report?.(outcome);
    }
  } finally {
    await server.stop();
  }
  return outcomes;
}

async function measure(
  server: ServerProcess,
  attack: Attack,
  size: number,
  patient: boolean,
): Promise<Outcome> {
  const before = residentMegabytes(server.pid, "VmRSS");
  resetPeak(server.pid);
  const running = attack.run(server, size);
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

/** Waits until all connections are cut, at most somewhat longer than the limit. */
async function outlast(attackers: readonly Attacker[], limit: keyof typeof patience): Promise<void> {
  const all = Promise.all(attackers.map((attacker) => attacker.cut));
  await Promise.race([all, delay(patience[limit] * 1.5 + 10_000, undefined, { ref: false })]);
}

/** Makes a call on its own connection. Returns what failed, or undefined. */
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

/** Only Linux has these figures; elsewhere memory is 0. */
const isMeasured = process.platform === "linux";

function residentMegabytes(pid: number, name: "VmRSS" | "VmHWM"): number {
  if (!isMeasured) return 0;
  const [, kilobytes] =
    new RegExp(`${name}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Math.round(Number(kilobytes) / 1024);
}

function resetPeak(pid: number): void {
  if (isMeasured) writeFileSync(`/proc/${pid}/clear_refs`, "5");
}
