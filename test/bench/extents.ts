import type { Extent } from "./bench.ts";

/** In a minute, to see that all works; in ten minutes; and however long it takes. */
export const extents: Readonly<Record<Extent["name"], Extent>> = {
  quick: {
    name: "quick",
    rounds: 1,
    seconds: 0.3,
    warmUpSeconds: 0.2,
    large: 100_000,
    huge: 100_000,
    memoryCalls: 20_000,
    secondsInAll: 60,
  },
  normal: {
    name: "normal",
    rounds: 5,
    seconds: 0.8,
    warmUpSeconds: 0.2,
    large: 1_000_000,
    huge: 10_000_000,
    memoryCalls: 1_000_000,
    secondsInAll: 575,
  },
  full: {
    name: "full",
    rounds: 9,
    seconds: 2,
    warmUpSeconds: 0.5,
    large: 1_000_000,
    huge: 10_000_000,
    memoryCalls: 1_000_000,
    secondsInAll: Infinity,
  },
};
