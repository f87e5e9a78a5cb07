const day = 86_400_000;

/** When signing keys change. Milliseconds. */
export interface KeySchedule {
  /** How long a key signs before the next one is made; 0: until an operator says so. */
  readonly rotationPeriodMs: number;
  /** How long a key is published before it signs, but for a project's first key and after a revocation. */
  readonly publicationDelayMs: number;
}

/** A rotation every 90 days, known to everybody for 10 minutes before. */
export const defaultKeySchedule: KeySchedule = { rotationPeriodMs: 90 * day, publicationDelayMs: 600_000 };

/** Shortest publication delay, in milliseconds: a JWKS may be cached for a whole number of seconds. */
export const minPublicationDelayMs = 2000;

/**
 * How long a JWKS may be cached, in seconds: half the publication delay, 5 minutes at most. So whoever obeys knows every
 * key before it signs, with as much again for slow networks and clocks.
 */
export function jwksMaxAge({ publicationDelayMs }: KeySchedule): number {
  return Math.min(300, Math.floor(publicationDelayMs / 2000));
}

/** `Cache-Control` of a JWKS. */
export function jwksCacheControl(schedule: KeySchedule): string {
  return `public, max-age=${jwksMaxAge(schedule)}`;
}
