import { type DestinationStream, destination } from "pino";

/** PIPE_BUF of Linux, in bytes: writes of several processes to one pipe are atomic up to this size. */
const maxSharedWrite = 4096;

/** In bytes. Concatenating longer strings costs more than another system call. */
const maxOwnWrite = 16_384;

/** In characters. Lines beyond this are dropped while writing is impossible. */
const maxUnwritten = 1_048_576;

/**
 * A log destination that writes all lines of one turn of the event loop with one system call, and the rest at exit. `file` is a
 * path or a file descriptor; `isShared` says that other processes write to it too.
 */
export function logOutput(file: number | string, isShared = false): DestinationStream {
  const maxBytes = isShared ? maxSharedWrite : maxOwnWrite;
  const output = destination({ dest: file, sync: true, maxLength: maxUnwritten });
  // Calls succeed even if they cannot be logged, for example on a full disk.
  output.on("error", () => undefined);
  let pending = "";
  let bytes = 0;
  const flush = () => {
    if (pending === "") return;
    const lines = pending;
    pending = "";
    bytes = 0;
    output.write(lines);
  };
  process.on("exit", flush);
  return {
    write(line) {
      const length = Buffer.byteLength(line);
      if (bytes + length > maxBytes) flush();
      if (pending === "") setImmediate(flush);
      pending += line;
      bytes += length;
    },
  };
}

/** Session tokens, service secrets, JWTs, and passwords in URLs. */
const secretForms = [
  /\b(?:sst|ssk)_[A-Za-z0-9_-]{8,}/g,
  /\beyJ[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){1,4}/g,
  /(?<=:\/\/[^\s/@:]*:)[^\s/@]+(?=@)/g,
];

/** Replaces everything that looks like a secret. A last line of defence: no secret should get this far. */
export function withoutSecrets(text: string): string {
  return secretForms.reduce((cleaned, form) => cleaned.replace(form, "[secret]"), text);
}

export function describeFault(fault: unknown): string {
  if (!(fault instanceof Error)) return withoutSecrets(String(fault));
  const cause = fault.cause === undefined ? "" : `\ncaused by: ${describeFault(fault.cause)}`;
  return withoutSecrets(fault.stack ?? fault.message) + cause;
}
