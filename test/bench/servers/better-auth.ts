// better-auth with its default storage in Postgres, behind node:http. Without cookie cache, rate limits, log and telemetry.
// Creates its tables first.
import { createServer } from "node:http";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { Pool } from "pg";
import { announce } from "./announce.ts";
import { betterAuthOrigin, betterAuthSecret } from "./better-auth-cookie.ts";

const options = {
  // As many connections as sessiond has by default.
  database: new Pool({ connectionString: process.env["DATABASE_URL"], max: 10 }),
  secret: betterAuthSecret,
  baseURL: betterAuthOrigin,
  session: { cookieCache: { enabled: false } },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  logger: { disabled: true },
};
const { runMigrations } = await getMigrations(options);
await runMigrations();
const handle = toNodeHandler(betterAuth(options));
const server = createServer((request, response) => void handle(request, response));
server.listen(0, "127.0.0.1", () => announce(server.address()));
