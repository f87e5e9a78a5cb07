import { Code } from "@connectrpc/connect";
import { codeOf, errorInfoOf, isSessionRefused } from "../error-info.ts";
import type { EventSource, VerifierEventMap } from "./events.ts";

type Refusal = VerifierEventMap["credentialRefused"][0];

/** Whether the server refused a call because of the verifier's own credential: it is not valid, or lacks a permission. */
export function isCredentialRefused(error: unknown): boolean {
  const code = codeOf(error);
  return (code === Code.Unauthenticated && !isSessionRefused(error)) || code === Code.PermissionDenied;
}

/** Whether the server refused a call because the verifier's project is disabled, which ends every session of it. */
export function isProjectDisabled(error: unknown): boolean {
  const info = errorInfoOf(error);
  return info?.domain === "sessiond" && info.reason === "PROJECT_DISABLED";
}

/** Reports that the server refuses the verifier's own credential: once for each kind of call, until such a call succeeds. */
export class CredentialRefusals {
  readonly #source: EventSource;
  readonly #reported = new Set<Refusal["call"]>();

  constructor(source: EventSource) {
    this.#source = source;
  }

  report(refusal: Refusal): void {
    if (this.#reported.has(refusal.call)) return;
    this.#reported.add(refusal.call);
    const { call, baseUrl, error } = refusal;
    const text = `${call} at ${baseUrl} refuses the credential of this verifier: ${error.message}`;
    this.#source.emitOrWarn("credentialRefused", refusal, text);
  }

  /** A later refusal is reported again. */
  accepted(call: Refusal["call"]): void {
    this.#reported.delete(call);
  }
}
