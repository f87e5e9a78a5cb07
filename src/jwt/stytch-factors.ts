/** One authentication factor as a login states it. */
export interface StatedFactor {
  readonly method: string;
  readonly deliveryMethod: string;
  readonly authenticateTime: Date;
}

/** Stytch's types of factors, each with its delivery method if it has exactly one. Typed SDKs of Stytch refuse any other type. */
const types: ReadonlyMap<string, string | undefined> = new Map([
  ["crypto", "crypto_wallet"],
  ["email_otp", "email"],
  ["impersonated", "impersonation"],
  ["imported", "imported_auth0"],
  ["magic_link", undefined],
  ["oauth", undefined],
  ["otp", undefined],
  ["password", "knowledge"],
  ["recovery_codes", "recovery_code"],
  ["signature_challenge", "biometric"],
  ["sso", undefined],
  ["totp", "authenticator_app"],
  ["trusted_auth_token", "trusted_token_exchange"],
  ["webauthn", "webauthn_registration"],
]);

/** Common names of Stytch's types. */
const typeNames: ReadonlyMap<string, string> = new Map([
  ["biometric", "signature_challenge"],
  ["crypto_wallet", "crypto"],
  ["passkey", "webauthn"],
  ["recovery_code", "recovery_codes"],
]);

const oauthProviders =
  "google microsoft apple github facebook amazon bitbucket coinbase discord figma gitlab instagram linkedin shopify slack " +
  "snapchat spotify steam tiktok twitch twitter salesforce yahoo hubspot exchange_slack exchange_hubspot exchange_github " +
  "exchange_google access_token_exchange";

/** Stytch's delivery methods. Typed SDKs of Stytch refuse any other. */
const deliveryMethods: ReadonlySet<string> = new Set([
  "email",
  "sms",
  "whatsapp",
  "embedded",
  ...oauthProviders.split(" ").map((provider) => `oauth_${provider}`),
  "sso_saml",
  "sso_oidc",
  ...Array.from(types.values()).filter((method) => method !== undefined),
]);

/**
 * Writes factors as Stytch's session claim does. Factors that Stytch has no name for are left out: an invented name would be
 * refused by its typed SDKs, and a similar one would state what the login did not.
 */
export function stytchFactors(factors: readonly StatedFactor[]) {
  return factors.flatMap(({ method, deliveryMethod, authenticateTime }) => {
    const type = typeNames.get(method) ?? method;
    const delivery = deliveryOf(type, deliveryMethod);
    if (!types.has(type) || delivery === undefined) return [];
    return [{ type, delivery_method: delivery, last_authenticated_at: authenticateTime.toISOString() }];
  });
}

/** Accepts `google` for `oauth_google` and `saml` for `sso_saml`; no delivery method if the type has only one. */
function deliveryOf(type: string, stated: string): string | undefined {
  if (stated === "") return types.get(type);
  return [stated, `${type}_${stated}`].find((name) => deliveryMethods.has(name));
}
