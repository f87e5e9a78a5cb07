import type { Place } from "./systems/place.ts";

/** One trial of the service on real infrastructure. */
export interface InfrastructureTrial {
  readonly name: string;
  /** What it shows, in a sentence. */
  readonly shows: string;
  /** Debian packages of the programs that it runs. */
  readonly packages: readonly string[];
  /** Minutes after which it has failed. */
  readonly minutes: number;
  run(stage: Stage): Promise<void>;
}

/** What a running trial works with. */
export interface Stage {
  readonly place: Place;
  /** Another checkout to compare with. */
  readonly against: string | undefined;
  /** Stops what the trial has started at its end, also after a failure. */
  readonly started: AsyncDisposableStack;
  /** Prints progress. */
  readonly say: (line: string) => void;
  /** Reports a part of the trial: what was seen, and a line per broken promise. */
  readonly report: (part: string, seen: object, violations: readonly string[]) => void;
}
