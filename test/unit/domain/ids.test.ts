import { expect, test } from "vitest";
import {
  characters,
  isStorable,
  newCredentialId,
  newSessionId,
  parseCredentialId,
  parseMemberId,
  parseOrganizationId,
  parseProjectId,
  parseRequestId,
  parseSessionId,
} from "../../../src/domain/ids.ts";

test.for(["a", "A-1_b.c", "0", "x".repeat(64)])("%s is a project id", (text) => {
  expect(parseProjectId(text)).toBe(text);
});

test.for(["", "-a", ".a", "_a", "a b", "a/b", "a:b", "ä", "a\n", "\0", "x".repeat(65)])(
  "%j is not a project id",
  (text) => {
    expect(parseProjectId(text)).toBeUndefined();
  },
);

test("session and credential ids are UUIDs, converted to lower case", () => {
  for (const id of [newSessionId(), newCredentialId()]) {
    expect(parseSessionId(id)).toBe(id);
    expect(parseCredentialId(id.toUpperCase())).toBe(id);
    const edited = [`{${id}}`, `${id} `, `${id}\n`, `urn:uuid:${id}`, id.replaceAll("-", ""), id.slice(1)];
    for (const wrong of [...edited, ""]) {
      expect([parseSessionId(wrong), parseCredentialId(wrong)]).toEqual([undefined, undefined]);
    }
  }
});

test.for(["0", "!~", "0191d3a2-6c1f-7000-8000-000000000000", "x".repeat(128)])(
  "%s is a request id",
  (text) => {
    expect(parseRequestId(text)).toBe(text);
  },
);

test.for(["", " ", "a b", "a\n", "a\0", "\x7f", "ä", "\u{1f980}", "x".repeat(129)])(
  "%j is not a request id",
  (text) => {
    expect(parseRequestId(text)).toBeUndefined();
  },
);

test("session ids sort by creation time", () => {
  const ids = Array.from({ length: 1000 }, newSessionId);
  expect(ids.toSorted()).toEqual(ids);
  expect(ids[0]?.charAt(14)).toBe("7");
});

test("a session id has the caller's time, not the machine's, and sorts within the same millisecond", () => {
  const hourAgo = new Date(Date.now() - 3_600_000);
  const ids = Array.from({ length: 1000 }, () => newSessionId(hourAgo));
  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(ids.map((id) => parseInt(id.replace("-", "").slice(0, 12), 16)))).toEqual(
    new Set([hourAgo.getTime()]),
  );
});

test("member and organization ids are opaque", () => {
  const longest = ["\u{1f980}".repeat(255), "ä".repeat(255)];
  for (const text of [" ", "user/1", "\u0001", "Robert'); drop table sessions;--", ...longest]) {
    expect(parseMemberId(text)).toBe(text);
    expect(parseOrganizationId(text)).toBe(text);
  }
});

test.for(["", "a\0b", "\0", "\ud800", "a\udc00", "\udc00\ud800", "x".repeat(256), "\u{1f980}".repeat(256)])(
  "an empty, too long or unstorable text is not a member or organization id (%#)",
  (text) => {
    expect(parseMemberId(text)).toBeUndefined();
    expect(parseOrganizationId(text)).toBeUndefined();
  },
);

test("counts code points", () => {
  expect(["", "a", "ä", "\u{1f980}", "a\u{1f980}b"].map(characters)).toEqual([0, 1, 1, 1, 3]);
  expect(["\u{1f980}", "\0", "\ud83e", "\udd80\ud83e"].map(isStorable)).toEqual([true, false, false, false]);
});
