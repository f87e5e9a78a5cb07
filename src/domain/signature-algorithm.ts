/** Signature algorithms of session JWTs (RFC 7518, RFC 8037): the allow-list. */
export const signatureAlgorithms = ["ES256", "EdDSA", "RS256"] as const;
/** One of {@link signatureAlgorithms}. */
export type SignatureAlgorithm = (typeof signatureAlgorithms)[number];
