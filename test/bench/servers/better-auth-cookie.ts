import { createHmac } from "node:crypto";

export const betterAuthSecret = "the-secret-of-the-bench-and-of-nothing-else";

export const betterAuthOrigin = "http://127.0.0.1";

/** Cookie of an end user with this session token. */
export function betterAuthCookie(token: string): string {
  const signature = createHmac("sha256", betterAuthSecret).update(token).digest("base64");
  return `better-auth.session_token=${encodeURIComponent(`${token}.${signature}`)}`;
}
