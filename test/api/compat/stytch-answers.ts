import { expect } from "vitest";

/** Matches the request id of a project in the test environment. */
export const requestId: unknown = expect.stringMatching(
  /^request-id-test-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
);

/** An error body of the Stytch APIs. */
export function stytchError(status: number, type: unknown, message: unknown) {
  return {
    status_code: status,
    request_id: requestId,
    error_type: type,
    error_message: message,
    error_url: `https://stytch.com/docs/api/errors/${status}`,
  };
}

/** The body of a successful revocation. */
export const stytchSuccess = { status_code: 200, request_id: requestId };
export const sessionNotFound = stytchError(404, "session_not_found", "Session could not be found.");
export const unauthorized = stytchError(401, "unauthorized_credentials", "Unauthorized credentials.");
