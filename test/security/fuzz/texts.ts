import fc from "fast-check";

/**
 * Names of what only exists in a run, as generated texts have them: so that a seed gives the same input whatever the service has
 * issued meanwhile.
 */
export const placeholders = [
  "id",
  "token",
  "jwt",
  "foreign-id",
  "foreign-token",
  "foreign-jwt",
  "page",
] as const;
/** What the placeholders stand for now. */
export type Values = Readonly<Record<(typeof placeholders)[number], string>>;

/** Texts with a meaning to the service. */
export const known: readonly string[] = [
  ...placeholders.map((name) => `@${name}@`),
  "alice",
  "acme",
  "prey",
  "admin",
  "sessions.read",
  "127.0.0.1",
  "user_agent",
  "01900000-0000-7000-8000-000000000000",
  `sst_${"A".repeat(51)}`,
];

/** The text with values in place of placeholders. */
export function filledIn(text: string, values: Values): string {
  return text.replaceAll(/@([a-z-]+)@/g, (whole, name: keyof Values) => values[name] ?? whole);
}

const base64url = fc.string({
  unit: fc.constantFrom(..."ABCDEFabcdef0123456789-_".split("")),
  maxLength: 60,
});

const jsonPart = fc
  .oneof(
    fc.record(
      {
        alg: fc.constantFrom("ES256", "EdDSA", "RS256", "HS256", "none", "", 1),
        kid: fc.oneof(base64url, fc.constantFrom("../../key", "\0", "x".repeat(500))),
        typ: fc.constantFrom("JWT", "at+jwt", null),
        crit: fc.constant(["exp"]),
        iss: fc.constantFrom("sessiond/home", "stytch.com/home", "", null),
        aud: fc.constantFrom<unknown>("home", ["home"], ["prey", "home"], [], {}, 5),
        sid: fc.constantFrom<unknown>("@id@", "01900000-0000-7000-8000-000000000000", "x", 1),
        sub: fc.constantFrom<unknown>("alice", "", 1),
        iat: fc.oneof(fc.integer(), fc.double(), fc.constant("1")),
        exp: fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.double()),
        nbf: fc.oneof(fc.integer(), fc.double()),
        rev: fc.oneof(fc.integer(), fc.double(), fc.constant(null)),
        "https://stytch.com/session": fc.jsonValue({ maxDepth: 2 }),
      },
      { requiredKeys: [] },
    ),
    fc.jsonValue({ maxDepth: 2 }),
  )
  .map((value) => Buffer.from(JSON.stringify(value)).toString("base64url"));

/** What was made to look like a session JWT. */
export const anyJwt: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(jsonPart, jsonPart, base64url).map((parts) => parts.join(".")) },
  {
    weight: 1,
    arbitrary: fc.array(fc.oneof(jsonPart, base64url), { maxLength: 6 }).map((parts) => parts.join(".")),
  },
  { weight: 1, arbitrary: fc.nat(40).map((dots) => ".".repeat(dots)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("@jwt@", "@foreign-jwt@", `${"a".repeat(9000)}.${"b".repeat(9000)}.c`),
  },
);

/** What was made to look like a session token. */
export const anyToken: fc.Arbitrary<string> = fc.oneof(
  base64url.map((text) => `sst_${text}`),
  fc
    .string({ unit: fc.constantFrom(..."abcXYZ019-_".split("")), minLength: 51, maxLength: 51 })
    .map((text) => `sst_${text}`),
  fc.constantFrom("@token@", "@foreign-token@", "sst_", "ssk_", `sst_${"x".repeat(5000)}`),
);

/** `arbitrary` once in so many times, else null. */
export function sometimes<T>(arbitrary: fc.Arbitrary<T>, oneIn: number): fc.Arbitrary<T | null> {
  return fc.oneof({ weight: oneIn - 1, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });
}

const edit = fc.record({
  kind: fc.constantFrom("change", "insert", "cut", "case", "twice"),
  at: fc.nat(2000),
  with: fc.string({ unit: "binary", minLength: 1, maxLength: 3 }),
});

/** A text of `texts`, mostly with something done to it. */
export function mistreated(texts: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(texts, sometimes(edit, 2)).map(([text, done]) => {
    if (done === null) return text;
    const at = done.at % (text.length + 1);
    switch (done.kind) {
      case "change":
        return text.slice(0, at) + done.with + text.slice(at + 1);
      case "insert":
        return text.slice(0, at) + done.with + text.slice(at);
      case "cut":
        return text.slice(0, at);
      case "case":
        return text.toUpperCase();
      default:
        return `${text}, ${text}`;
    }
  });
}
