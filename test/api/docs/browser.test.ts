import { mkdirSync } from "node:fs";
import type { Page } from "playwright-core";
import { describe, expect, onTestFinished, test } from "vitest";
import { chromiumPath, launchChromium } from "../../support/chromium.ts";
import { newLogin, verdictOn } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { documents, operationsOf } from "./described.ts";

const service = await runningService();

interface Visit {
  readonly page: Page;
  /** Every request of the page, and everything that the browser complained about, such as a violated policy. */
  readonly requests: string[];
  readonly complaints: string[];
}

async function visit(path: string): Promise<Visit> {
  const browser = await launchChromium();
  onTestFinished(() => browser.close());
  const page = await browser.newPage({ viewport: { width: 1200, height: 1000 } });
  page.setDefaultTimeout(60_000);
  const requests: string[] = [];
  const complaints: string[] = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  await page.goto(service.url + path);
  await page.locator(".opblock").first().waitFor();
  return { page, requests, complaints };
}

/** The operations that the page lists, such as `POST /session/v1/sessions:revoke`. */
async function listed(page: Page): Promise<readonly string[]> {
  const rows = page.locator(".opblock-summary");
  const methods = await rows.locator(".opblock-summary-method").allTextContents();
  const paths = await rows.locator(".opblock-summary-path").allTextContents();
  // The page puts zero-width spaces into paths, where lines may break.
  return methods.map((method, i) => `${method} ${(paths[i] ?? "").replaceAll("\u200b", "")}`);
}

function routesOf(name: string): readonly string[] {
  const document = documents.get(name);
  return document === undefined ? [] : operationsOf(document).map(({ route }) => route);
}

/** The viewer takes seconds on an idle machine, and a minute on a busy one. */
describe.skipIf(chromiumPath === undefined)("/docs in Chromium", { timeout: 120_000 }, () => {
  test("lists the operations of each API", async () => {
    const { page, requests, complaints } = await visit("/docs");
    expect([...(await listed(page))].sort()).toEqual([...routesOf("session")].sort());
    for (const name of [...documents.keys()].filter((one) => one !== "session")) {
      await page.getByRole("link", { name, exact: true }).click();
      await page.waitForURL(`**/docs?api=${name}`);
      await page.locator(".opblock").first().waitFor();
      expect([...(await listed(page))].sort()).toEqual([...routesOf(name)].sort());
    }
    expect(requests.filter((url) => new URL(url).origin !== service.url)).toEqual([]);
    expect(complaints).toEqual([]);
  });

  test("tries Revoke with the credential of a service", async () => {
    const login = await newLogin(service);
    const { page, requests, complaints } = await visit("/docs");
    await page.getByText("All reasons").click();
    await page.getByRole("cell", { name: "SESSION_REVOKED_BY_CUTOFF" }).first().waitFor();

    await page.locator(".btn.authorize").click();
    const dialog = page.locator(".modal-ux");
    await dialog.getByLabel("auth-basic-username").fill(service.projectId);
    await dialog.getByLabel("auth-basic-password").fill(service.secret);
    await dialog.getByRole("button", { name: "Apply credentials" }).first().click();
    await dialog.locator(".close-modal").click();

    const operation = page.locator(".opblock", { hasText: "/session/v1/sessions:revoke" }).first();
    await operation.locator(".opblock-summary-control").click();
    await operation.getByRole("button", { name: "Try it out" }).click();
    await operation
      .locator("textarea")
      .first()
      .fill(JSON.stringify({ token: login.token }));
    await operation.getByRole("button", { name: "Execute" }).click();
    const answer = operation.locator(".live-responses-table .response");
    await answer.waitFor();
    expect(await answer.locator(".response-col_status").textContent()).toBe("200");
    expect(await answer.locator(".highlight-code").first().textContent()).toContain('"revokedCount": "1"');
    expect(await verdictOn(service, login)).toBe("SESSION_REVOKED");

    mkdirSync("dist/test", { recursive: true });
    const screenshot = await page.screenshot({ path: "dist/test/docs.png" });
    // A blank page of this size has 5 kB.
    expect(screenshot.length).toBeGreaterThan(30_000);
    expect(new Set(requests.map((url) => new URL(url).origin))).toEqual(new Set([service.url]));
    expect(complaints).toEqual([]);
  });
});
