/** The messages of an error and of what caused it, on one line each. */
export function inWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const message = error.message === "" ? error.name : error.message;
  return error.cause === undefined ? message : `${message}\n  because: ${inWords(error.cause)}`;
}
