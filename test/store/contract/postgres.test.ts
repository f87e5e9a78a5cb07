import { describe } from "vitest";
import { batchContract } from "./batches.ts";
import { concurrencyContract } from "./concurrency.ts";
import { creationRequestContract } from "./creation-requests.ts";
import { cutoffContract } from "./cutoffs.ts";
import { listContract } from "./lists.ts";
import { memberRevocationContract } from "./member-revocations.ts";
import { projectContract } from "./projects.ts";
import { useReplicas } from "./replicas.ts";
import { revocationListContract } from "./revocation-lists.ts";
import { revocationContract } from "./revocations.ts";
import { sessionLimitContract } from "./session-limits.ts";
import { sessionContract } from "./sessions.ts";
import { signingKeyContract } from "./signing-keys.ts";
import { tokenRotationContract } from "./token-rotation.ts";

const replicas = useReplicas();

/** The contract of every store, as documented by the interfaces of src/domain/store. */
describe.each([
  ["sessions", sessionContract],
  ["session limits", sessionLimitContract],
  ["creation requests", creationRequestContract],
  ["token rotation", tokenRotationContract],
  ["lists of sessions", listContract],
  ["revocations", revocationContract],
  ["lists of revocations", revocationListContract],
  ["revocations of a member", memberRevocationContract],
  ["cutoffs", cutoffContract],
  ["batches", batchContract],
  ["concurrency", concurrencyContract],
  ["projects", projectContract],
  ["signing keys", signingKeyContract],
] as const)("%s in Postgres", (_, contract) => {
  contract(replicas);
});
