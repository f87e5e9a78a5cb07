/** What a credential of a service can do on its own project; all of it is the default of a project's first one. */
export const servicePermissions: readonly string[] = [
  "sessions.create",
  "sessions.read",
  "sessions.authenticate",
  "sessions.revoke",
  "sessions.revoke_all",
];

/** Permissions, separated by commas. Which there are is for the service to say. */
export function readPermissions(text: string): string[] {
  return text.split(",").map((permission) => permission.trim());
}
