import fc from "fast-check";

/** Placeholders for ids and secrets that the service issues, so that a seed always generates the same texts. */
export const placeholders = [
  "id",
  "token",
  "jwt",
  "foreign-id",
  "foreign-token",
  "foreign-jwt",
  "page",
] as const;
export type Values = Readonly<Record<(typeof placeholders)[number], string>>;

/** Texts that the service knows. */
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

/** Texts that resemble session JWTs. */
export const anyJwt: fc.Arbitrary<string> = weighted(
  [4, fc.tuple(jsonPart, jsonPart, base64url).map((parts) => parts.join("."))],
  [1, fc.array(fc.oneof(jsonPart, base64url), { maxLength: 6 }).map((parts) => parts.join("."))],
  [1, fc.nat(40).map((dots) => ".".repeat(dots))],
  [1, fc.constantFrom("@jwt@", "@foreign-jwt@", `${"a".repeat(9000)}.${"b".repeat(9000)}.c`)],
);

/** Texts that resemble session tokens. */
export const anyToken: fc.Arbitrary<string> = fc.oneof(
  base64url.map((text) => `sst_${text}`),
  fc
    .string({ unit: fc.constantFrom(..."abcXYZ019-_".split("")), minLength: 51, maxLength: 51 })
    .map((text) => `sst_${text}`),
  fc.constantFrom("@token@", "@foreign-token@", "sst_", "ssk_", `sst_${"x".repeat(5000)}`),
);

/** Picks each arbitrary with a frequency proportional to its weight. */
export function weighted<const T extends readonly (readonly [weight: number, fc.Arbitrary<unknown>])[]>(
  ...choices: T
): fc.Arbitrary<T[number][1] extends fc.Arbitrary<infer Value> ? Value : never> {
  return fc.oneof(...choices.map(([weight, arbitrary]) => ({ weight, arbitrary }))) as fc.Arbitrary<never>;
}

/** `arbitrary` with a probability of 1 to `oneIn`, else null. */
export function sometimes<T>(arbitrary: fc.Arbitrary<T>, oneIn: number): fc.Arbitrary<T | null> {
  return weighted([oneIn - 1, fc.constant(null)], [1, arbitrary]);
}

const edit = fc.record({
  kind: fc.constantFrom("change", "insert", "cut", "case", "twice"),
  at: fc.nat(2000),
  with: fc.string({ unit: "binary", minLength: 1, maxLength: 3 }),
});

/** A text of `texts`, half of the time with an edit. */
export function edited(texts: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(texts, sometimes(edit, 2)).map(([text, change]) => {
    if (change === null) return text;
    const at = change.at % (text.length + 1);
    switch (change.kind) {
      case "change":
        return text.slice(0, at) + change.with + text.slice(at + 1);
      case "insert":
        return text.slice(0, at) + change.with + text.slice(at);
      case "cut":
        return text.slice(0, at);
      case "case":
        return text.toUpperCase();
      default:
        return `${text}, ${text}`;
    }
  });
}
