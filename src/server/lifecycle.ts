/** Functions that stop what was started, run in reverse order. */
export interface Cleanup {
  defer(stop: () => Promise<void>): void;
}

export interface Stoppable {
  /** Resolves when everything has stopped. May be called again. */
  stop(): Promise<void>;
}

/** Runs `start` and adds `stop` to its result. If it fails, stops what was already started and rejects. */
export async function startAll<T>(start: (cleanup: Cleanup) => Promise<T>): Promise<T & Stoppable> {
  const stops: (() => Promise<void>)[] = [];
  const stopAll = async () => {
    for (const stop of stops.toReversed()) await stop();
  };
  try {
    const started = await start({ defer: (stop) => void stops.push(stop) });
    let stopped: Promise<void> | undefined;
    return { ...started, stop: () => (stopped ??= stopAll()) };
  } catch (error) {
    await stopAll();
    throw error;
  }
}
