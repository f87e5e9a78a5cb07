/** Session tokens, service secrets and JWTs, by their form; credentials in URLs. */
const secretForms = [
  /\b(?:sst|ssk)_[A-Za-z0-9_-]{8,}/g,
  /\beyJ[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){1,4}/g,
  /(?<=:\/\/[^\s/@:]*:)[^\s/@]+(?=@)/g,
];

/** `text` fit for a log: whatever has the form of a secret is gone. A last resort; nothing should write one there. */
export function withoutSecrets(text: string): string {
  return secretForms.reduce((cleaned, form) => cleaned.replace(form, "[secret]"), text);
}
