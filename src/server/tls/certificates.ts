import { X509Certificate, createPrivateKey } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";

export interface TlsFiles {
  /** The server's certificate, followed by its intermediate certificates. */
  readonly certFile: string;
  readonly keyFile: string;
  /** CA of client certificates. Undefined: none are requested. */
  readonly clientCaFile: string | undefined;
}

export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string | undefined;
  /** Expiry of the server's certificate. */
  readonly expireTime: Date;
}

/** Reads and validates the files. Errors name the variable, and never contain key material. */
export async function readTlsMaterial(files: TlsFiles): Promise<TlsMaterial> {
  const cert = await read("SESSIOND_TLS_CERT_FILE", files.certFile);
  const key = await read("SESSIOND_TLS_KEY_FILE", files.keyFile);
  const clientCa = files.clientCaFile && (await read("SESSIOND_TLS_CLIENT_CA_FILE", files.clientCaFile));
  const [certificate] = certificatesIn("SESSIOND_TLS_CERT_FILE", cert);
  if (!certificate.checkPrivateKey(privateKeyIn(key))) {
    throw new Error(
      "SESSIOND_TLS_KEY_FILE: is not the key of the first certificate in SESSIOND_TLS_CERT_FILE",
    );
  }
  if (clientCa !== undefined) certificatesIn("SESSIOND_TLS_CLIENT_CA_FILE", clientCa);
  try {
    createSecureContext({ cert, key, ca: clientCa });
  } catch (cause) {
    throw new Error("the certificates and the key cannot be used together", { cause });
  }
  return { cert, key, clientCa, expireTime: certificate.validToDate };
}

async function read(variable: string, file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new Error(`${variable}: the file cannot be read`, { cause });
  }
}

/** Parses every certificate, because OpenSSL skips what it cannot parse: a damaged bundle must not be used in part. */
function certificatesIn(variable: string, pem: string): [X509Certificate, ...X509Certificate[]] {
  const blocks = pem.match(/-----BEGIN [^]*?-----END [^-]*-----/g) ?? [];
  try {
    const [first, ...others] = blocks.map((block) => new X509Certificate(block));
    if (first !== undefined) return [first, ...others];
  } catch {
    // Not reported as the cause, because the text may be a private key.
  }
  throw new Error(`${variable}: must hold certificates in PEM, and nothing else`);
}

function privateKeyIn(pem: string) {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new Error("SESSIOND_TLS_KEY_FILE: must hold a private key in PEM, without a passphrase");
  }
}
