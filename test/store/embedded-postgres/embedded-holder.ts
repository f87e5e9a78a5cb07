// Process of embedded.test.ts: supervises the PostgreSQL in the directory of its argument. Exits at any message, without stopping it.
import { startEmbeddedPostgres } from "../../../src/embedded-postgres/supervisor.ts";

process.on("message", () => process.exit(0));
const postgres = await startEmbeddedPostgres({ directory: process.argv[2] ?? "" });
process.send?.({ url: postgres.url, pid: postgres.pid() });
