import fc from "fast-check";
import { anyJwt, anyToken, edited, weighted } from "./texts.ts";

/** Headers with credentials. `@guarded-…@` stands for secrets that are used only as credentials. */
export type Headers = readonly (readonly [name: string, value: string])[];

const valid: readonly Headers[] = [
  ...Array.from({ length: 7 }, (): Headers => [["authorization", "@service@"]]),
  [["authorization", "Bearer @guarded-token@"]],
  [["authorization", "Bearer @guarded-jwt@"]],
  [["x-session-token", "@guarded-token@"]],
  [["cookie", "ory_kratos_session=@guarded-token@"]],
  [
    ["authorization", "@service@"],
    ["x-stytch-member-session", "@guarded-token@"],
  ],
  [
    ["authorization", "@service@"],
    ["x-stytch-member-sessionjwt", "@guarded-jwt@"],
  ],
  [],
];

const names = [
  "authorization",
  "x-session-token",
  "cookie",
  "x-stytch-member-session",
  "x-stytch-member-sessionjwt",
];
const credentials = fc.oneof(
  anyToken,
  anyJwt,
  anyToken.map((text) => `Bearer ${text}`),
  anyJwt.map((text) => `Bearer ${text}`),
  fc.string({ unit: "binary", maxLength: 40 }).map((text) => `Basic ${Buffer.from(text).toString("base64")}`),
  fc.string({ maxLength: 30 }).map((text) => `Basic ${Buffer.from(`home:${text}`).toString("base64")}`),
  anyToken.map((text) => `a=b; ory_kratos_session="${text}"`),
  fc.constantFrom("@service@", "Bearer @guarded-token@", "Bearer @guarded-jwt@"),
  fc.constantFrom("Negotiate x", "Bearer", "Basic ="),
);

const anyHeader = fc.tuple(fc.constantFrom(...names), edited(credentials));

/** Valid, misplaced, malformed, several or no credentials. */
export const anyCredentials: fc.Arbitrary<Headers> = weighted(
  [6, fc.constantFrom(...valid)],
  [2, fc.array(anyHeader, { minLength: 1, maxLength: 3 })],
);
