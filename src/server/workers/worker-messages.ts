import { z } from "zod";

/** Tells a worker that serves to drain and end. */
export const stopMessage = { type: "sessiond:stop" } as const;

const stop = z.object({ type: z.literal(stopMessage.type) });

const refusal = z.object({ type: z.literal("sessiond:refusal"), words: z.string() });

/** Whether the primary says stop. What else passes between the processes is node's own, or some library's. */
export function isStop(message: unknown): boolean {
  return stop.safeParse(message).success;
}

/** What a worker that cannot start says to the primary, which tells it once for all. */
export function refusalMessage(words: string): z.output<typeof refusal> {
  return { type: "sessiond:refusal", words };
}

/** Why a worker cannot start, if that is what the message says. */
export function refusalOf(message: unknown): string | undefined {
  return refusal.safeParse(message).data?.words;
}
