import type { Logger } from "pino";
import { type TlsFiles, type TlsMaterial, readTlsMaterial } from "./certificates.ts";

/**
 * Reads the files at intervals and reports changes. Calls `onFailure` once for a failure that repeats. Not fs.watch, which misses the swapped link of a Kubernetes secret and some
 * network file systems; not a signal, which would have to be sent to every replica. `check` reads the files now, and never
 * rejects.
 */
export function watchCertificates(
  files: TlsFiles,
  first: TlsMaterial,
  log: Logger,
  onChange: (material: TlsMaterial) => void,
  onFailure: (error: unknown) => void,
  intervalMs = 5_000,
): { check(): Promise<void>; stop(): void } {
  let current = first;
  let lastFailure = "";
  async function readOnce(): Promise<void> {
    try {
      const material = await readTlsMaterial(files);
      lastFailure = "";
      if (isSame(material, current)) return;
      onChange(material);
      current = material;
      log.info({ expire_time: material.expireTime }, "TLS certificates changed");
      warnOfExpiry(material, log);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (message === lastFailure) return;
      lastFailure = message;
      onFailure(error);
    }
  }
  let reading = Promise.resolve();
  const check = () => (reading = reading.then(readOnce));
  const timer = setInterval(() => void check(), intervalMs).unref();
  return { check, stop: () => clearInterval(timer) };
}

/** Warns if the server's certificate has expired, because no client will accept it. */
export function warnOfExpiry({ expireTime }: TlsMaterial, log: Logger): void {
  if (expireTime.getTime() <= Date.now()) {
    log.warn({ expire_time: expireTime }, "the certificate in SESSIOND_TLS_CERT_FILE has expired");
  }
}

function isSame(one: TlsMaterial, other: TlsMaterial): boolean {
  return one.cert === other.cert && one.key === other.key && one.clientCa === other.clientCa;
}
