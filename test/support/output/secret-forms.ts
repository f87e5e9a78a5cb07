/** Secrets that are known by their form alone. */
export const secretForms: readonly { readonly kind: string; readonly form: RegExp }[] = [
  { kind: "a session token", form: /sst_[\w-]{51}/g },
  { kind: "a service secret", form: /ssk_[\w-]{43}/g },
  { kind: "a JWT", form: /eyJ[\w-]{10,}\.eyJ[\w-]{10,}(?:\.[\w-]+)?/g },
  { kind: "a private key", form: /-----BEGIN [A-Z ]*PRIVATE KEY-----|"d" ?: ?"[\w-]{20,}"/g },
];
