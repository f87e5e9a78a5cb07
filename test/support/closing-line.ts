import type { Reporter, TestModule } from "vitest/node";
import type { SecretReport } from "./output/secret-report.ts";

/** Ends the output with the line `N passed, N failed`, for any CI. */
export class ClosingLine implements Reporter {
  readonly #secrets: SecretReport;

  /** Each finding of `secrets` counts as failed. */
  constructor(secrets: SecretReport) {
    this.#secrets = secrets;
  }

  async onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): Promise<void> {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const count = (state: string) => tests.filter((test) => test.result().state === state).length;
    const broken = modules.filter(
      (module) => module.state() === "failed" && module.errors().length > 0,
    ).length;
    const failed = count("failed") + broken + errors.length + (await this.#secrets.tell());
    const skipped = count("skipped");
    process.stdout.write(
      `${count("passed")} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}\n`,
    );
  }
}
