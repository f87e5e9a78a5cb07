import type { Logger } from "pino";
import { describeFault } from "../observability/call-log.ts";
import { type TlsFiles, type TlsMaterial, readTlsMaterial } from "./certificates.ts";

/** How often the files are looked at, in milliseconds. */
const defaultInterval = 5_000;

/** What looks after the files of a server. */
export interface TlsWatch {
  /** Looks at the files now; resolves when what they hold is in use, or is known not to be. Never rejects. */
  look(): Promise<void>;
  stop(): void;
}

/**
 * Reads the files again and again, and hands on what has changed; what cannot be used is logged once, and what was in use
 * stays. Rejected: fs.watch, which sees nothing of a Kubernetes secret's link swapped two folders up, nor of some network
 * file systems; and a signal, which somebody would have to send to every replica.
 */
export function watchTlsFiles(
  files: TlsFiles,
  first: TlsMaterial,
  log: Logger,
  changed: (material: TlsMaterial) => void,
  interval = defaultInterval,
): TlsWatch {
  let current = first;
  let complaint = "";
  async function look(): Promise<void> {
    try {
      const material = await readTlsMaterial(files);
      complaint = "";
      if (isSame(material, current)) return;
      changed(material);
      current = material;
      log.info({ expire_time: material.expireTime }, "TLS certificates changed");
      warnOfExpiry(material, log);
    } catch (error) {
      const fault = describeFault(error);
      const words = error instanceof Error ? error.message : fault;
      if (words === complaint) return;
      complaint = words;
      log.error({ fault }, "TLS certificates cannot be used; those before stay in use");
    }
  }
  let looking = Promise.resolve();
  const lookNext = () => (looking = looking.then(look));
  const timer = setInterval(() => void lookNext(), interval).unref();
  return { look: lookNext, stop: () => clearInterval(timer) };
}

/** Warns of a server certificate that no client will accept. */
export function warnOfExpiry({ expireTime }: TlsMaterial, log: Logger): void {
  if (expireTime.getTime() <= Date.now()) {
    log.warn({ expire_time: expireTime }, "the certificate in SESSIOND_TLS_CERT_FILE has expired");
  }
}

function isSame(one: TlsMaterial, other: TlsMaterial): boolean {
  return one.cert === other.cert && one.key === other.key && one.clientCa === other.clientCa;
}
