/** The messages of an error and of what caused it, on one line each. */
export function inWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const message = error.message === "" ? wordless(error) : error.message;
  return error.cause === undefined ? message : `${message}\n  because: ${inWords(error.cause)}`;
}

/** A host with several addresses of which none can be reached has an error for each, and no message of its own. */
function wordless(error: Error): string {
  return error instanceof AggregateError ? error.errors.map(inWords).join("; ") : error.name;
}
