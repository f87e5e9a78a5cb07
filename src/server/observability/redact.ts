/** Session tokens, service secrets, JWTs, and passwords in URLs. */
const secretForms = [
  /\b(?:sst|ssk)_[A-Za-z0-9_-]{8,}/g,
  /\beyJ[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){1,4}/g,
  /(?<=:\/\/[^\s/@:]*:)[^\s/@]+(?=@)/g,
];

/** Replaces everything that looks like a secret. A last line of defence: no secret should get this far. */
export function withoutSecrets(text: string): string {
  return secretForms.reduce((cleaned, form) => cleaned.replace(form, "[secret]"), text);
}

/** Stack and causes of an error, for the log. */
export function describeFault(fault: unknown): string {
  if (!(fault instanceof Error)) return withoutSecrets(String(fault));
  const cause = fault.cause === undefined ? "" : `\ncaused by: ${describeFault(fault.cause)}`;
  return withoutSecrets(fault.stack ?? fault.message) + cause;
}
