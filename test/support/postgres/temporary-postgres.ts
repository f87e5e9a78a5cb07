import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  startEmbeddedPostgres,
} from "../../../src/embedded-postgres/supervisor.ts";

/** Starts a PostgreSQL in a temporary directory, which `stop` removes. Works without a test runner. */
export async function temporaryPostgres(
  options: Omit<EmbeddedPostgresOptions, "directory"> = {},
): Promise<EmbeddedPostgres> {
  await using started = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "sessiond-test-"));
  started.defer(() => rm(directory, { recursive: true, force: true }));
  const postgres = await startEmbeddedPostgres({ ...options, directory });
  started.defer(() => postgres.stop());
  const running = started.move();
  return { url: postgres.url, pid: () => postgres.pid(), stop: () => running.disposeAsync() };
}
