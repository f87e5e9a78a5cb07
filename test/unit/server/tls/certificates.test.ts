import { generateKeyPairSync } from "node:crypto";
import { rm } from "node:fs/promises";
import { pino } from "pino";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { type TlsFiles, type TlsMaterial, readTlsMaterial } from "../../../../src/server/tls/certificates.ts";
import { warnOfExpiry, watchCertificates } from "../../../../src/server/tls/certificate-watch.ts";
import { type TlsFolder, authority, tlsFolder } from "../../../support/process/certificates.ts";
import { recordOutput } from "../../../support/output/output.ts";

/** A log whose lines are kept, also for the search for secrets. */
function recordedLog() {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string) => {
    recordOutput("log", line);
    lines.push(JSON.parse(line));
  };
  return { lines, log: pino({}, { write }) };
}

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

describe("reading the files", () => {
  test("returns a certificate, its key, and a CA", async () => {
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
  const notCertificates = /CERT_FILE: must hold certificates in PEM/;
  const notKey = /KEY_FILE: must hold a private key in PEM, without a passphrase/;
  const notCa = /CLIENT_CA_FILE: must hold certificates in PEM/;
  test.each([
    [
      "the key of another certificate",
      { ...one, key: other.key },
      /KEY_FILE: is not the key of the first cert/,
    ],
    ["an empty certificate", { ...one, cert: "" }, notCertificates],
    ["a key instead of a certificate", { ...one, cert: one.key }, notCertificates],
    ["a certificate instead of a key", { ...one, key: one.cert }, notKey],
    ["a key with a passphrase", { ...one, key: String(encrypted) }, notKey],
    ["an empty CA", one, notCa, ""],
    ["a damaged CA", one, notCa, `${ca.cert}${ca.cert.replace(/M/g, "A")}`],
  ])("rejects %s without showing the key", async (_, pair, message, clientCa = ca.cert) => {
    await folder.mount(pair, clientCa);
    const failure = await readTlsMaterial(files).catch(String);
    expect(failure).toMatch(message);
    expect(failure).not.toContain(one.key.split("\n")[1]);
  });

  test("rejects a missing file", async () => {
    await expect(readTlsMaterial(files)).rejects.toThrow("SESSIOND_TLS_CERT_FILE: the file cannot be read");
  });
});

describe("watching the files", () => {
  async function watching() {
    const { lines, log } = recordedLog();
    const changes: TlsMaterial[] = [];
    const failures: string[] = [];
    const onChange = (material: TlsMaterial) => void changes.push(material);
    const onFailure = (error: unknown) => void failures.push(String(error));
    const watch = watchCertificates(files, await readTlsMaterial(files), log, onChange, onFailure);
    onTestFinished(() => watch.stop());
    return { check: () => watch.check(), changes, failures, lines };
  }

  test("reports a swapped link once", async () => {
    await folder.mount(one, ca.cert);
    const { check, changes, lines } = await watching();
    await check();
    expect(changes).toEqual([]);
    await folder.mount(other, ca.cert);
    await check();
    await check();
    expect(changes).toEqual([expect.objectContaining(other)]);
    expect(lines.map(({ msg }) => msg)).toEqual(["TLS certificates changed"]);
  });

  test("reports a change of the CA alone", async () => {
    const clientCa = authority().cert;
    await folder.mount(one, ca.cert);
    const { check, changes } = await watching();
    await folder.mount(one, clientCa);
    await check();
    expect(changes).toEqual([expect.objectContaining({ ...one, clientCa })]);
  });

  test("keeps the previous files if the new ones cannot be used, reports each failure once, and recovers", async () => {
    await folder.mount(one, ca.cert);
    const { check, changes, failures } = await watching();
    await folder.mount({ ...other, key: one.key }, ca.cert);
    await check();
    await check();
    await rm(folder.link);
    await check();
    await check();
    expect(changes).toEqual([]);
    expect(failures).toEqual([
      expect.stringContaining("SESSIOND_TLS_KEY_FILE: is not the key"),
      expect.stringContaining("SESSIOND_TLS_CERT_FILE: the file cannot be read"),
    ]);
    await folder.mount(other, ca.cert);
    await check();
    expect(changes).toEqual([expect.objectContaining(other)]);
  });

  test("checks at intervals", async () => {
    await folder.mount(one, ca.cert);
    const taken = Promise.withResolvers<TlsMaterial>();
    const { log } = recordedLog();
    const first = await readTlsMaterial(files);
    // A read between the two writes finds a key of another certificate.
    const ignore = () => undefined;
    const watch = watchCertificates(files, first, log, taken.resolve, ignore, 5);
    onTestFinished(() => watch.stop());
    await folder.mount(other, ca.cert);
    expect(await taken.promise).toMatchObject(other);
  });
});

test("warns of an expired certificate", () => {
  const { lines, log } = recordedLog();
  const material = { ...one, clientCa: undefined };
  warnOfExpiry({ ...material, expireTime: new Date(Date.now() + 60_000) }, log);
  expect(lines).toEqual([]);
  warnOfExpiry({ ...material, expireTime: new Date(Date.now() - 1) }, log);
  expect(lines).toEqual([
    expect.objectContaining({ level: 40, msg: "the certificate in SESSIOND_TLS_CERT_FILE has expired" }),
  ]);
});
