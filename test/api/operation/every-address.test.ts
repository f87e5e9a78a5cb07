import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { databaseOfFile, serveOn } from "./operating.ts";

const databaseUrl = await databaseOfFile();

/** The status of `/livez` at this host. */
async function alive(host: string, port: number): Promise<number | string> {
  const answer = await fetch(`http://${host}:${port}/livez`).catch((error: Error) => error.message);
  return typeof answer === "string" ? answer : answer.status;
}

const withoutIpv6 = `--import=${pathToFileURL("test/support/process/without-ipv6.ts").href}`;

describe.each(["1", "2"])("with %s workers", (SESSIOND_WORKERS) => {
  const environment = {
    SESSIOND_LISTEN: ":0",
    SESSIOND_METRICS_LISTEN: ":0",
    SESSIOND_ALLOW_PLAINTEXT: "on",
    SESSIOND_WORKERS,
  };

  test("a port without a host listens on IPv6 and IPv4", async () => {
    const service = serveOn(databaseUrl, environment);
    const port = await service.listening;
    expect([await alive("[::1]", port), await alive("127.0.0.1", port)]).toEqual([200, 200]);
    expect(service.stderr()).toMatch(/"address":"::".*"serving metrics"/);
  });

  test("a port without a host listens on IPv4 on a machine without IPv6", async () => {
    const service = serveOn(databaseUrl, { ...environment, NODE_OPTIONS: withoutIpv6 });
    expect(await alive("127.0.0.1", await service.listening)).toBe(200);
    expect(service.stderr()).toMatch(/"address":"0\.0\.0\.0".*"serving metrics"/);
  });
});

test("[::] fails on a machine without IPv6", async () => {
  const service = serveOn(databaseUrl, {
    SESSIOND_LISTEN: "[::]:0",
    SESSIOND_ALLOW_PLAINTEXT: "on",
    NODE_OPTIONS: withoutIpv6,
  });
  expect(await service.ended).toBe(1);
  expect(service.stderr()).toContain("EAFNOSUPPORT");
});
