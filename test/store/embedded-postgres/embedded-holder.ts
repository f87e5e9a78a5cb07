// Run by embedded.test.ts as a process of its own: supervises the PostgreSQL in the directory named by its
// argument until it is killed or told "exit", when it exits without stopping it.
import { startEmbeddedPostgres } from "../../../src/embedded-postgres/supervisor.ts";

process.on("message", () => process.exit(0));
const postgres = await startEmbeddedPostgres({ directory: process.argv[2] ?? "" });
process.send?.({ url: postgres.url, pid: postgres.pid() });
