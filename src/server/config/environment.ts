export type ProcessEnvironment = Readonly<Record<string, string | undefined>>;

/**
 * The variables of this program that are set, by name, without white space around their values: files and templates add line
 * breaks. A variable of white space alone counts as absent.
 */
export function givenVariables(environment: ProcessEnvironment): ProcessEnvironment {
  const given = Object.entries(environment)
    .filter(([name]) => name === "DATABASE_URL" || name.startsWith("SESSIOND_"))
    .map(([name, value = ""]): [string, string] => [name, value.trim()]);
  return Object.fromEntries(given.filter(([, value]) => value !== ""));
}

/** Whether the text has a control character or a line break. No variable and no secret has one. */
export function hasControlCharacter(text: string): boolean {
  return /[\p{Cc}\u2028\u2029]/u.test(text);
}
