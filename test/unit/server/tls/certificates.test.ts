import { generateKeyPairSync } from "node:crypto";
import { rm } from "node:fs/promises";
import { pino } from "pino";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { type TlsFiles, type TlsMaterial, readTlsMaterial } from "../../../../src/server/tls/certificates.ts";
import { warnOfExpiry, watchTlsFiles } from "../../../../src/server/tls/certificate-watch.ts";
import { type TlsFolder, authority, tlsFolder } from "../../../support/process/certificates.ts";
import { recordOutput } from "../../../support/output/output.ts";

/** Reads lines of a log, which are kept with all others. */
const noting = (lines: unknown[]) => (line: string) => {
  recordOutput("log", line);
  lines.push(JSON.parse(line));
};

const ca = authority();
const one = ca.issue();
const other = ca.issue();

let folder: TlsFolder;
let files: TlsFiles;
beforeEach(() => {
  folder = tlsFolder();
  onTestFinished(() => folder.remove());
  files = {
    certFile: folder.environment.SESSIOND_TLS_CERT_FILE,
    keyFile: folder.environment.SESSIOND_TLS_KEY_FILE,
    clientCaFile: folder.environment.SESSIOND_TLS_CLIENT_CA_FILE,
  };
});

describe("what is in the files is read, or refused in words", () => {
  test("a certificate, its key, and a CA", async () => {
    await folder.mount(one, ca.cert);
    expect(await readTlsMaterial(files)).toMatchObject({ ...one, clientCa: ca.cert });
    expect(await readTlsMaterial({ ...files, clientCaFile: undefined })).toMatchObject({
      clientCa: undefined,
    });
  });

  const encrypted = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({
    type: "pkcs8",
    format: "pem",
    cipher: "aes-256-cbc",
    passphrase: "secret",
  });
  test.each([
    [
      "the key of another",
      { ...one, key: other.key },
      ca.cert,
      /KEY_FILE: is not the key of the first certificate/,
    ],
    ["no certificate", { ...one, cert: "" }, ca.cert, /CERT_FILE: must hold certificates in PEM/],
    ["a key in its place", { ...one, cert: one.key }, ca.cert, /CERT_FILE: must hold certificates in PEM/],
    [
      "no key",
      { ...one, key: one.cert },
      ca.cert,
      /KEY_FILE: must hold a private key in PEM, without a passphr/,
    ],
    [
      "a key with a passphrase",
      { ...one, key: String(encrypted) },
      ca.cert,
      /KEY_FILE: .* without a passphrase/,
    ],
    ["an empty CA", one, "", /CLIENT_CA_FILE: must hold certificates in PEM/],
    ["a damaged CA", one, `${ca.cert}${ca.cert.replace(/M/g, "A")}`, /CLIENT_CA_FILE: must hold cert/],
  ])("%s", async (_, pair, clientCa, complaint) => {
    await folder.mount(pair, clientCa);
    const failure = await readTlsMaterial(files).catch(String);
    expect(failure).toMatch(complaint);
    expect(failure).not.toContain(one.key.split("\n")[1]);
  });

  test("none at all", async () => {
    await expect(readTlsMaterial(files)).rejects.toThrow("SESSIOND_TLS_CERT_FILE: the file cannot be read");
  });
});

describe("files that change", () => {
  /** A watch over what `mount` puts there, whose log and outcome the test sees. */
  async function watching() {
    const lines: Record<string, unknown>[] = [];
    const log = pino({}, { write: noting(lines) });
    const seen: TlsMaterial[] = [];
    const first = await readTlsMaterial(files);
    const watch = watchTlsFiles(files, first, log, (material) => seen.push(material));
    onTestFinished(() => watch.stop());
    return { look: () => watch.look(), seen, lines };
  }

  test("are taken over when a link is swapped, once", async () => {
    await folder.mount(one, ca.cert);
    const { look, seen, lines } = await watching();
    await look();
    expect(seen).toEqual([]);
    await folder.mount(other, ca.cert);
    await look();
    await look();
    expect(seen).toEqual([expect.objectContaining(other)]);
    expect(lines.map(({ msg }) => msg)).toEqual(["TLS certificates changed"]);
  });

  test("are taken over when only the CA is another", async () => {
    const clientCa = authority().cert;
    await folder.mount(one, ca.cert);
    const { look, seen } = await watching();
    await folder.mount(one, clientCa);
    await look();
    expect(seen).toEqual([expect.objectContaining({ ...one, clientCa })]);
  });

  test("and cannot be used leave what was in use, are complained of once, and mended by the next", async () => {
    await folder.mount(one, ca.cert);
    const { look, seen, lines } = await watching();
    await folder.mount({ ...other, key: one.key }, ca.cert);
    await look();
    await look();
    await rm(folder.link);
    await look();
    await look();
    expect(seen).toEqual([]);
    expect(lines.map(({ level, fault }) => [level, fault])).toEqual([
      [50, expect.stringContaining("SESSIOND_TLS_KEY_FILE: is not the key")],
      [50, expect.stringContaining("SESSIOND_TLS_CERT_FILE: the file cannot be read")],
    ]);
    await folder.mount(other, ca.cert);
    await look();
    expect(seen).toEqual([expect.objectContaining(other)]);
  });

  test("are looked at by themselves", async () => {
    await folder.mount(one, ca.cert);
    const taken = Promise.withResolvers<TlsMaterial>();
    const log = pino({ level: "silent" });
    const watch = watchTlsFiles(files, await readTlsMaterial(files), log, taken.resolve, 5);
    onTestFinished(() => watch.stop());
    await folder.mount(other, ca.cert);
    expect(await taken.promise).toMatchObject(other);
  });
});

test("a certificate that has expired is warned of", () => {
  const lines: unknown[] = [];
  const log = pino({}, { write: noting(lines) });
  const material = { ...one, clientCa: undefined };
  warnOfExpiry({ ...material, expireTime: new Date(Date.now() + 60_000) }, log);
  expect(lines).toEqual([]);
  warnOfExpiry({ ...material, expireTime: new Date(Date.now() - 1) }, log);
  expect(lines).toEqual([
    expect.objectContaining({ level: 40, msg: "the certificate in SESSIOND_TLS_CERT_FILE has expired" }),
  ]);
});
