import { mkdtempSync } from "node:fs";
import { chmod, mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Certified } from "./certificates.ts";

/** A folder with the files of a TLS server, as the kubelet mounts a secret. */
export interface TlsFolder {
  /** What tells a service of the files. */
  readonly environment: Readonly<
    Record<"SESSIOND_TLS_CERT_FILE" | "SESSIOND_TLS_KEY_FILE" | "SESSIOND_TLS_CLIENT_CA_FILE", string>
  >;
  /** The link that leads to the files of now. */
  readonly link: string;
  /** Puts files of another version in place: in a folder of their own, to which the link is swapped. */
  mount(certified: Certified, clientCa: string): Promise<void>;
  remove(): Promise<void>;
}

/** Makes the folder, with nothing mounted. */
export function tlsFolder(): TlsFolder {
  const folder = mkdtempSync(join(tmpdir(), "sessiond-tls-"));
  const link = join(folder, "current");
  let version = 0;
  return {
    link,
    environment: {
      SESSIOND_TLS_CERT_FILE: join(link, "tls.crt"),
      SESSIOND_TLS_KEY_FILE: join(link, "tls.key"),
      SESSIOND_TLS_CLIENT_CA_FILE: join(link, "ca.crt"),
    },
    async mount({ cert, key }, clientCa) {
      const target = join(folder, `version-${++version}`);
      await mkdir(target);
      await writeFile(join(target, "tls.crt"), cert);
      await writeFile(join(target, "tls.key"), key);
      await chmod(join(target, "tls.key"), 0o600);
      await writeFile(join(target, "ca.crt"), clientCa);
      await symlink(target, join(folder, "next"));
      await rename(join(folder, "next"), link);
    },
    remove: () => rm(folder, { recursive: true }),
  };
}
