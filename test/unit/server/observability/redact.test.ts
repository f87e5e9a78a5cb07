import { expect, test } from "vitest";
import { withoutSecrets } from "../../../../src/server/observability/redact.ts";
import { type ProjectTag, newServiceSecret, newSessionToken } from "../../../../src/domain/token.ts";

const jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";

test.each([
  ["a session token", newSessionToken("AAAAAAAA" as ProjectTag)],
  ["a service secret", newServiceSecret()],
  ["a JWT", jwt],
  ["a JWT without its signature", jwt.slice(0, jwt.lastIndexOf("."))],
])("removes %s", (_, secret) => {
  expect(withoutSecrets(`/sessions/${secret}/revoke`)).toBe("/sessions/[secret]/revoke");
});

test("removes a password from a URL", () => {
  expect(withoutSecrets("postgres://user:pa55@host:5432/db")).toBe("postgres://user:[secret]@host:5432/db");
});

test.each(["/sessions/0190d4f3-7a34-7bb1-8ae0-4a1b2a0f0a9e/revoke", "connect ECONNREFUSED 127.0.0.1:5432"])(
  "leaves %s unchanged",
  (text) => {
    expect(withoutSecrets(text)).toBe(text);
  },
);
