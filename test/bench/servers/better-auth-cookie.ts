import { createHmac } from "node:crypto";

/** With what better-auth signs its cookies here. */
export const betterAuthSecret = "the-secret-of-the-bench-and-of-nothing-else";

/** As whom it answers: a request with a cookie must come from there. */
export const betterAuthOrigin = "http://127.0.0.1";

/** The cookie by which an end user with this session token calls better-auth. */
export function betterAuthCookie(token: string): string {
  const signature = createHmac("sha256", betterAuthSecret).update(token).digest("base64");
  return `better-auth.session_token=${encodeURIComponent(`${token}.${signature}`)}`;
}
