import { type KeyObject, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { chmod, mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { recordSecret } from "../output/output.ts";

export interface Certified {
  readonly cert: string;
  readonly key: string;
}

/** Contents of a certificate. Valid from yesterday to tomorrow by default, for servers and clients. */
export interface CertificateOptions {
  /** In Node's notation: `DNS:a.example`, `URI:spiffe://a/b`, `IP:127.0.0.1`. */
  readonly names?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

export interface Authority {
  readonly cert: string;
  issue(options?: CertificateOptions): Certified;
}

const day = 86_400_000;

export function authority(): Authority {
  const name = distinguishedName(`authority ${randomBytes(4).toString("hex")}`);
  const keys = newKeys();
  return {
    cert: certificate({
      issuer: name,
      subject: name,
      publicKey: keys.publicKey,
      signer: keys.privateKey,
      isAuthority: true,
    }),
    issue: (options = {}) => {
      const { publicKey, privateKey } = newKeys();
      const subject = distinguishedName("a leaf");
      const cert = certificate({ issuer: name, subject, publicKey, signer: keys.privateKey, ...options });
      const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
      recordSecret({ kind: "a private key", text: key.replaceAll(/-----.*-----|\n/g, "") });
      return { cert, key };
    },
  };
}

function newKeys() {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

interface Content extends CertificateOptions {
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly publicKey: KeyObject;
  readonly signer: KeyObject;
  readonly isAuthority?: boolean;
}

/** A certificate (RFC 5280, 4.1), signed with ECDSA and SHA-256. */
function certificate(content: Content): string {
  const { issuer, subject, publicKey, signer, names = [], isAuthority = false } = content;
  const { notBefore = new Date(Date.now() - day), notAfter = new Date(Date.now() + day) } = content;
  const algorithm = sequence(objectId(ecdsaWithSha256));
  const extensions = [
    extension(basicConstraints, sequence(...(isAuthority ? [der(0x01, Buffer.from([0xff]))] : []))),
    ...(names.length === 0 ? [] : [extension(subjectAltName, sequence(...names.map(generalName)))]),
  ];
  const signed = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))), // version 3
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    algorithm,
    issuer,
    sequence(time(notBefore), time(notAfter)),
    subject,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(...extensions)),
  );
  const signature = bits(sign("sha256", signed, signer));
  return pem(sequence(signed, algorithm, signature));
}

const ecdsaWithSha256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const basicConstraints = [0x55, 0x1d, 0x13];
const subjectAltName = [0x55, 0x1d, 0x11];
const commonName = [0x55, 0x04, 0x03];

function distinguishedName(text: string): Buffer {
  return sequence(der(0x31, sequence(objectId(commonName), der(0x0c, Buffer.from(text)))));
}

function extension(id: readonly number[], value: Buffer): Buffer {
  return sequence(objectId(id), der(0x04, value));
}

function generalName(name: string): Buffer {
  const [, kind, value = ""] = /^(DNS|URI|IP):(.*)$/.exec(name) ?? [];
  if (kind === undefined) throw new Error(`not a kind of name: ${name}`);
  if (kind === "IP") return der(0x87, Buffer.from(value.split(".").map(Number)));
  return der(kind === "DNS" ? 0x82 : 0x86, Buffer.from(value, "latin1"));
}

/** GeneralizedTime. RFC 5280 requires UTCTime before 2050, but no client rejects this. */
function time(date: Date): Buffer {
  return der(0x18, Buffer.from(`${date.toISOString().replace(/\D/g, "").slice(0, 14)}Z`));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

function objectId(bytes: readonly number[]): Buffer {
  return der(0x06, Buffer.from(bytes));
}

function bits(bytes: Buffer): Buffer {
  return der(0x03, Buffer.concat([Buffer.from([0]), bytes]));
}

/** Tag, length, value (X.690). */
function der(tag: number, value: Buffer): Buffer {
  const { length } = value;
  const long = length < 0x80 ? [] : length < 0x100 ? [length] : [length >> 8, length & 0xff];
  const head = long.length === 0 ? [tag, length] : [tag, 0x80 + long.length, ...long];
  return Buffer.concat([Buffer.from(head), value]);
}

function pem(bytes: Buffer): string {
  const lines = bytes.toString("base64").match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}

/** A folder with the files of a TLS server, like a secret that the kubelet mounts. */
export interface TlsFolder {
  readonly environment: Readonly<
    Record<"SESSIOND_TLS_CERT_FILE" | "SESSIOND_TLS_KEY_FILE" | "SESSIOND_TLS_CLIENT_CA_FILE", string>
  >;
  readonly link: string;
  /** Writes a new version of the files to its own folder and swaps the link. */
  mount(certified: Certified, clientCa: string): Promise<void>;
  remove(): Promise<void>;
}

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
