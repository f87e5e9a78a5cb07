import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { ClosingLine } from "./support/closing-line.ts";
import { SecretReport } from "./support/output/secret-report.ts";

const secrets = new SecretReport();

const shared = {
  root: new URL("..", import.meta.url).pathname,
  setupFiles: ["test/support/output/record-output.ts"],
  env: secrets.environment,
  pool: "forks" as const,
  testTimeout: 30_000,
  hookTimeout: 60_000,
};

export default defineConfig({
  test: {
    root: shared.root,
    reporters: ["default", new ClosingLine(secrets)],
    // Most files wait for processes and the database: with two cores vitest would run one file at a time.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    projects: [
      // No database. In both projects the files of a worker share one process.
      {
        test: {
          ...shared,
          name: "unit",
          include: ["test/unit/**/*.test.ts", "test/layers.test.ts"],
          isolate: false,
        },
      },
      {
        test: {
          ...shared,
          name: "system",
          include: ["test/{api,bench,packaging,resilience,security,store,support}/**/*.test.ts"],
          isolate: false,
          globalSetup: ["test/support/postgres/cluster.ts"],
        },
      },
    ],
  },
});
