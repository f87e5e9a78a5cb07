import { defineConfig } from "vitest/config";
import { ClosingLine } from "./support/closing-line.ts";

export default defineConfig({
  test: {
    root: new URL("..", import.meta.url).pathname,
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/postgres-setup.ts"],
    reporters: ["default", new ClosingLine()],
    pool: "forks",
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
