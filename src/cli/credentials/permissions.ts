/** What a credential of a service can do on its own project; all of it is the default of a project's first one. */
export const servicePermissions: readonly string[] = [
  "sessions.create",
  "sessions.read",
  "sessions.authenticate",
  "sessions.revoke",
  "sessions.revoke_all",
];

/** What an option lists, separated by commas: permissions, or names of certificates. Which are good is for the service to say. */
export function readList(text: string): string[] {
  return text.split(",").map((entry) => entry.trim());
}
