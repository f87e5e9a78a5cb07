/** Quantiles of a quantity; NaN without measurements. */
export interface Quantiles {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export function quantiles(values: readonly number[]): Quantiles {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => {
    const place = Math.max(0, Math.ceil(share * sorted.length) - 1);
    return Math.round((sorted[place] ?? NaN) * 100) / 100;
  };
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}
