import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { ClosingLine } from "./support/closing-line.ts";
import { SecretReport } from "./support/output/secret-report.ts";

const secrets = new SecretReport();

export default defineConfig({
  test: {
    root: new URL("..", import.meta.url).pathname,
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/postgres/postgres-setup.ts"],
    setupFiles: ["test/support/output/keep-output.ts"],
    env: secrets.environment,
    reporters: ["default", new ClosingLine(secrets)],
    pool: "forks",
    // Most files wait for the database: on two cores vitest would run one at a time.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
