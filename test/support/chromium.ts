import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const debianPath = "/usr/bin/chromium";

/** Path of Debian's Chromium. Where it is missing this is undefined, a line on the console says so, and tests skip. */
export const chromiumPath = existsSync(debianPath) ? debianPath : missing();

function missing(): undefined {
  console.warn(`SKIPPED: tests in a browser need ${debianPath} (Debian's package chromium)`);
}

/** Starts Chromium without a window. The caller closes it. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: debianPath,
    // Chromium's sandbox does not run as root: Playwright then passes --no-sandbox.
    chromiumSandbox: process.getuid?.() !== 0,
    args: ["--disable-dev-shm-usage"],
  });
}
