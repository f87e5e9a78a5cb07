import type { Bench } from "../bench.ts";
import { type StoredProject, keepMortal } from "../data/stored-project.ts";
import type { Subject } from "../figures.ts";
import type { Job } from "../load/job.ts";
import type { Jobs } from "../load/jobs.ts";
import { loadSubject } from "../load/load.ts";

/** A server, by the jobs for it. */
interface JobSubject {
  readonly name: string;
  readonly jobs: Jobs;
  readonly pid?: number;
  readonly unit?: "ms";
}

/** Authenticates sessions of a range, by token. */
export function authenticating(
  { load }: Bench,
  { tag, recent }: StoredProject,
  { jobs, ...subject }: JobSubject,
  { range = recent, issueJwt = false } = {},
): Subject {
  const job = () => jobs.authenticate(range, tag, { issueJwt });
  return loadSubject(load, { ...subject, job, made: (calls) => range.use(calls) });
}

export function revoking(
  bench: Bench,
  stored: StoredProject,
  { jobs, ...subject }: JobSubject,
  newJob: () => Job = () => jobs.revoke(stored.mortal),
): Subject {
  return loadSubject(bench.load, {
    ...subject,
    async job() {
      await keepMortal(bench, stored);
      return newJob();
    },
    made: (calls) => stored.mortal.use(calls),
  });
}
