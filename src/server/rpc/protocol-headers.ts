/** Units of `grpc-timeout`, in milliseconds. */
const grpcUnits: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** Whether `text` is a value of `grpc-timeout`. */
export function isGrpcTimeout(text: unknown): text is string {
  return typeof text === "string" && /^\d{1,8}[HMSmun]$/.test(text);
}

/** The milliseconds that a value of `grpc-timeout` says. */
export function grpcTimeoutMs(text: string): number {
  return Number(text.slice(0, -1)) * (grpcUnits[text.at(-1) ?? ""] ?? 0);
}

/**
 * Makes the headers that Connect reads itself fit for it. A deadline beyond `maxTimeoutMs` becomes just that, where Connect
 * would refuse the call and let its timer overflow. A malformed value, which Connect would repeat in its error, becomes "?".
 */
export function saneProtocolHeaders(header: Headers, maxTimeoutMs: number): void {
  replace(header, "grpc-timeout", (text) => {
    if (!isGrpcTimeout(text)) return undefined;
    // Whole seconds, as the amount has eight digits at most.
    return grpcTimeoutMs(text) > maxTimeoutMs ? `${Math.floor(maxTimeoutMs / 1000)}S` : text;
  });
  replace(header, "connect-timeout-ms", (text) =>
    /^\d{1,10}$/.test(text) ? String(Math.min(Number(text), maxTimeoutMs)) : undefined,
  );
  for (const name of ["content-encoding", "grpc-encoding", "connect-content-encoding"]) {
    replace(header, name, (text) => (/^[a-z-]{1,16}$/.test(text) ? text : undefined));
  }
}

function replace(header: Headers, name: string, read: (text: string) => string | undefined): void {
  const text = header.get(name);
  if (text !== null) header.set(name, read(text) ?? "?");
}
