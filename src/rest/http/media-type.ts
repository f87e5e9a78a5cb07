/** Whether a Content-Type header allows JSON. A missing one does, because many clients send none. */
export function isJsonContentType(value: string | undefined): boolean {
  if (value === "application/json" || value === undefined || value.trim() === "") return true;
  const [type = "", ...parameters] = value.split(";").map((part) => part.trim().toLowerCase());
  if (type !== "application/json") return false;
  return parameters.every((parameter) => {
    const [name = "", text = ""] = parameter.split("=").map((part) => part.trim());
    return name !== "charset" || ["utf-8", "utf8", "us-ascii"].includes(text.replace(/^"(.*)"$/, "$1"));
  });
}

/** How a server stream is written. */
export type StreamFormat = "ndjson" | "sse";

/** Server-sent events if the Accept header names them and prefers nothing else; lines of JSON otherwise. */
export function chooseStreamFormat(accept: string | undefined): StreamFormat {
  const ranges = (accept ?? "").split(",").map(parseRange);
  const quality = (type: string): number => ranges.find((range) => range.type === type)?.quality ?? 0;
  const sse = quality("text/event-stream");
  const ndjson = quality("application/x-ndjson");
  if (sse === 0 || sse < ndjson) return "ndjson";
  const first = ranges.find(({ type }) => type === "text/event-stream" || type === "application/x-ndjson");
  return sse > ndjson || first?.type === "text/event-stream" ? "sse" : "ndjson";
}

function parseRange(text: string): { type: string; quality: number } {
  const [type = "", ...parameters] = text.split(";").map((part) => part.trim().toLowerCase());
  const quality = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
  const parsed = quality === undefined ? 1 : Number.parseFloat(quality);
  return { type, quality: Number.isNaN(parsed) ? 0 : parsed };
}
