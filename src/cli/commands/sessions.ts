import type { Command } from "commander";
import { addSessionsList } from "./sessions-list.ts";
import { addSessionsRevocations } from "./sessions-revocations.ts";
import { addSessionsRevoke } from "./sessions-revoke.ts";
import { addSessionsRevokeAll } from "./sessions-revoke-all.ts";
import { addSessionsWatch } from "./sessions-watch.ts";

/** Adds `sessiond sessions …`; they reach the sessions of the calling project. */
export function addSessionsCommands(program: Command): void {
  const sessions = program
    .command("sessions")
    .description("sessions of the calling project: list, revoke, revoke-all, revocations, watch");
  addSessionsList(sessions);
  addSessionsRevoke(sessions);
  addSessionsRevokeAll(sessions);
  addSessionsRevocations(sessions);
  addSessionsWatch(sessions);
}
