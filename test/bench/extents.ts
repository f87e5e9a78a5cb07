import type { Extent } from "./bench.ts";

/** In a minute, to see that all works; in ten minutes; and whatever it takes. */
export const extents: Readonly<Record<Extent["name"], Extent>> = {
  quick: {
    name: "quick",
    rounds: 1,
    seconds: 0.5,
    warmUpSeconds: 0.3,
    large: 20_000,
    huge: undefined,
    memoryCalls: 20_000,
  },
  normal: {
    name: "normal",
    rounds: 5,
    seconds: 1.5,
    warmUpSeconds: 0.5,
    large: 1_000_000,
    huge: undefined,
    memoryCalls: 400_000,
  },
  full: {
    name: "full",
    rounds: 7,
    seconds: 3,
    warmUpSeconds: 1,
    large: 1_000_000,
    huge: 10_000_000,
    memoryCalls: 1_000_000,
  },
};
