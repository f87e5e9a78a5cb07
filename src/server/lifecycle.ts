/** What has been started, to be stopped in the opposite order. */
export interface Running {
  defer(stop: () => Promise<void>): void;
}

/** What `startAll` adds: the end of everything that was started. */
export interface Stoppable {
  /** Resolves when everything is closed. Safe to call again. */
  stop(): Promise<void>;
}

/** Starts what belongs together, in the order in which it depends on each other. When it fails, nothing is left running. */
export async function startAll<T>(start: (running: Running) => Promise<T>): Promise<T & Stoppable> {
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
