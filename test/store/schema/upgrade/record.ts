import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { startEmbeddedPostgres } from "../../../../src/embedded-postgres/supervisor.ts";
import { migrateToLatest, migrations } from "../../../../src/storage/schema/migrate.ts";
import { openStore } from "../../../support/postgres/open-store.ts";
import { type Asked, type Exchange, type Recording, listen, toValue } from "./recording.ts";
import { useEverything } from "./scenario.ts";

// Records the statements of this version, to test later versions with: `npm run record:upgrade`, once for each
// release. A recording is named by the newest migration; that of a release is never repeated.

const statements: Recording["statements"][number][] = [];
const exchanges: Exchange[] = [];

/** Records every statement of this process with its answer. */
function recordQueries(): void {
  const query: (this: Client, config: Asked) => Promise<unknown> = Reflect.get(Client.prototype, "query");
  Reflect.set(Client.prototype, "query", async function (this: Client, config: Asked | string) {
    const asked = typeof config === "string" ? { text: config } : config;
    let result: unknown;
    const answer = await listen(this, async () => {
      result = query.call(this, asked);
      await result;
    });
    const { name, text, values = [] } = asked;
    let statement = statements.findIndex((known) => known.text === text && known.name === name);
    if (statement < 0) statement = statements.push({ ...(name === undefined ? {} : { name }), text }) - 1;
    exchanges.push({ statement, values: values.map(toValue), answer });
    return result;
  });
}

const directory = await mkdtemp(join(tmpdir(), "sessiond-recording-"));
const postgres = await startEmbeddedPostgres({ directory, durable: false, maxConnections: 20 });
try {
  const setup = openStore(postgres.url);
  await migrateToLatest(setup.db);
  await setup.close();
  recordQueries();
  const opened = openStore(postgres.url, { maxConnections: 1 });
  await useEverything(opened.store);
  await opened.close();
  const name = Object.keys(migrations).at(-1) ?? "";
  const recording: Recording = { statements, exchanges };
  const lines = JSON.stringify(recording).replaceAll(/\{"(?:statement|text|name)":/g, "\n$&");
  await writeFile(new URL(`recorded/${name}.json`, import.meta.url), `${lines}\n`);
  process.stdout.write(`${exchanges.length} exchanges of ${statements.length} statements: ${name}\n`);
} finally {
  await postgres.stop();
  await rm(directory, { recursive: true });
}
