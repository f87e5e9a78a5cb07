import { decodeHeaders } from "./hpack.ts";

/** What arrived of the answer to a call. Data is kept only where it will be looked at. */
export interface GrpcCall {
  readonly start: number;
  headers?: Buffer;
  trailers?: Buffer;
  readonly body: Buffer[];
}

/** The first header of an answer with status 200, in the static table. */
const status200 = 0x88;
/** Blocks of trailers met before, by their bytes. There are few: most calls end alike. */
const known = new Map<string, string>();
const mostKnown = 1000;

/** How an answer is to be counted. A call succeeded when its trailers say so, not when its headers look good. */
export function outcomeOf({ headers, trailers, body }: GrpcCall, expect: string | undefined): string {
  if (headers === undefined) return "no headers";
  // An error may come in one block, which is headers and trailers at once.
  if (trailers === undefined) return outcomeOfTrailers(headers);
  if (headers.find((byte) => byte !== emptyTable) !== status200) return outcomeOfTrailers(headers);
  const outcome = outcomeOfTrailers(trailers);
  if (outcome !== "ok" || expect === undefined) return outcome;
  return Buffer.concat(body).includes(expect, 0, "latin1") ? "ok" : "unexpected answer";
}

/** A peer may say first that its dynamic table is empty. */
const emptyTable = 0x20;

function outcomeOfTrailers(block: Buffer): string {
  const key = block.toString("latin1");
  const before = known.get(key);
  if (before !== undefined) return before;
  const headers = new Map(decodeHeaders(block));
  const status = headers.get(":status");
  const code = headers.get("grpc-status");
  const outcome =
    status !== undefined && status !== "200"
      ? `http ${status}`
      : code === "0"
        ? "ok"
        : code === undefined
          ? "no grpc-status"
          : `grpc ${code}`;
  if (known.size < mostKnown) known.set(key, outcome);
  return outcome;
}
