/** How long something may take before it is reported, in milliseconds. */
const slowAfterMs = 2_000;

/** Reports what start-up or a command waits for, each cause once, if that takes long. */
export class SlowWait {
  readonly #report: (cause: string) => void;
  #cause: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(report: (cause: string) => void) {
    this.#report = report;
  }

  /** Begins or continues to wait. */
  for(cause: string): void {
    if (cause === this.#cause) return;
    this.end();
    this.#cause = cause;
    this.#timer = setTimeout(() => this.#report(cause), slowAfterMs);
  }

  end(): void {
    this.#cause = undefined;
    clearTimeout(this.#timer);
  }
}
