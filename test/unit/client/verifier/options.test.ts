import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { readOptions } from "../../../../src/client/verifier/options.ts";
import { type VerifierOptions, createVerifier } from "../../../../src/client/verifier/verifier.ts";

test("createVerifier reports all invalid options at once", () => {
  const credential = { projectId: "p", secret: "very secret" };
  const times = { maxStaleness: 1000, heartbeat: 900, askTimeout: 60_001 };
  const create = () => createVerifier({ baseUrl: "ftp://x", credential, ...times });
  expect(create).toThrow(/baseUrl must be one or several http or https URLs/);
  expect(create).toThrow(/heartbeat is 900: it must be at most half of maxStaleness, which is 1000/);
  expect(create).toThrow(/askTimeout is 60001: it must be from 1 to 60000/);
  expect(() => createVerifier({ baseUrl: [], credential })).toThrow(/baseUrl/);
  const words = { onStale: "allow", onHistoryChanged: "accept" } as unknown as Partial<VerifierOptions>;
  expect(() => createVerifier({ baseUrl: "http://x", credential, ...words })).toThrow(
    /onStale is allow: it must be ask or refuse or accept; onHistoryChanged is accept: it must be ask or refuse/,
  );
  expect(create).not.toThrow(/very secret/);
});

test("the table of options in the README has the defaults of the code", () => {
  const page = readFileSync("src/client/verifier/README.md", "utf8");
  const rows = Array.from(page.matchAll(/^\| `(\w+)` \| `?([\w,]*)/gm), ([, name = "", value = ""]) => {
    return [name, /^\d/.test(value) ? Number(value.replace(",", "")) : value] as const;
  });
  const { clock: _, ...defaults } = readOptions({
    baseUrl: "http://127.0.0.1:8080",
    credential: { projectId: "p" },
  });
  const withoutDefault = { baseUrl: "", credential: "", tls: "" };
  const { baseUrls: _1, ...expected } = { ...defaults, issuer: "sessiond", ...withoutDefault };
  expect(Object.fromEntries(rows)).toEqual(expected);
  expect(defaults.issuer).toBe("sessiond/p");
});
