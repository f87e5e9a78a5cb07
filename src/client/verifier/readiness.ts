/** Lets any number of callers wait for one thing that happens once, or cannot. */
export class Readiness {
  readonly #waiting = new Set<PromiseWithResolvers<void>>();
  #ready = false;
  #failure: Error | undefined;

  /** Resolves when it has happened; rejects when it cannot. */
  wait(): Promise<void> {
    if (this.#ready) return Promise.resolve();
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const waiter = Promise.withResolvers<void>();
    this.#waiting.add(waiter);
    return waiter.promise;
  }

  /** It has happened. */
  resolve(): void {
    this.#ready = true;
    for (const waiter of this.#waiting) waiter.resolve();
    this.#waiting.clear();
  }

  /** It cannot happen as things are. Later callers learn the same until it does. */
  reject(failure: Error): void {
    this.#failure = failure;
    for (const waiter of this.#waiting) waiter.reject(failure);
    this.#waiting.clear();
  }
}
