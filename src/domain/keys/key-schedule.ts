const day = 86_400_000;

export interface KeySchedule {
  /** How long a key signs before the next one is created; 0 if only an operator rotates keys. */
  readonly rotationPeriodMs: number;
  /** How long a key is published before it signs, except a project's first key and the key after a revocation. */
  readonly publicationDelayMs: number;
}

/** A rotation every 90 days, published 10 minutes ahead. */
export const defaultKeySchedule: KeySchedule = { rotationPeriodMs: 90 * day, publicationDelayMs: 600_000 };

/** Shortest publication delay, in milliseconds: a JWKS may be cached for a whole number of seconds. */
export const minPublicationDelayMs = 2000;

/**
 * Lifetime of a JWKS in HTTP caches, in seconds: half the publication delay, at most 5 minutes. A client that keeps to it has
 * every key before the key signs; the other half of the delay allows for slow networks and clocks.
 */
export function jwksMaxAge({ publicationDelayMs }: KeySchedule): number {
  return Math.min(300, Math.floor(publicationDelayMs / 2000));
}

export function jwksCacheControl(schedule: KeySchedule): string {
  return `public, max-age=${jwksMaxAge(schedule)}`;
}
