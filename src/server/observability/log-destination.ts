import { type DestinationStream, destination } from "pino";

/** POSIX's PIPE_BUF on Linux, in bytes: what several processes write to one pipe in pieces of this size is never mixed up. */
const sharedPiece = 4096;

/** With more, the string that is put together costs more than another system call. */
const ownPiece = 16_384;

/** What cannot be written waits in memory up to so many characters, for a disk to have room again; more is dropped. */
const mostUnwritten = 1_048_576;

/**
 * A place for log lines that writes those of one turn of the event loop together: a line for every call would cost a system
 * call each. Nothing is kept longer than that; an exit writes what is left. `file` is a path or a file descriptor, `isShared`
 * whether other processes write to it too.
 */
export function logOutput(file: number | string, isShared = false): DestinationStream {
  const maxPiece = isShared ? sharedPiece : ownPiece;
  const output = destination({ dest: file, sync: true, maxLength: mostUnwritten });
  // A disk that is full, say: calls go on without their lines.
  output.on("error", () => undefined);
  let piece = "";
  let bytes = 0;
  const flush = () => {
    if (piece === "") return;
    const lines = piece;
    piece = "";
    bytes = 0;
    output.write(lines);
  };
  process.on("exit", flush);
  return {
    write(line) {
      const length = Buffer.byteLength(line);
      if (bytes + length > maxPiece) flush();
      if (piece === "") setImmediate(flush);
      piece += line;
      bytes += length;
    },
  };
}
