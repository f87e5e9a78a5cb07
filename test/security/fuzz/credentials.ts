import fc from "fast-check";
import { anyJwt, anyToken, mistreated } from "./texts.ts";

/** Headers that say who calls; `@guarded-…@` is replaced by what only ever is a credential. */
export type Headers = readonly (readonly [name: string, value: string])[];

const good: readonly Headers[] = [
  ...Array.from({ length: 6 }, (): Headers => [["authorization", "@service@"]]),
  [["authorization", "@service@"]],
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
  fc.constantFrom(
    "@service@",
    "Bearer @guarded-token@",
    "Bearer @guarded-jwt@",
    "Negotiate x",
    "Bearer",
    "Basic =",
  ),
);

/** Good, in the wrong place, malformed, several at once, or none. */
export const anyCredentials: fc.Arbitrary<Headers> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...good) },
  {
    weight: 2,
    arbitrary: fc.array(fc.tuple(fc.constantFrom(...names), mistreated(credentials)), {
      minLength: 1,
      maxLength: 3,
    }),
  },
);
