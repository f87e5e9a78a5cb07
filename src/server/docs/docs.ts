import { createHash } from "node:crypto";
import type { OutgoingHttpHeaders } from "node:http";
import type { HttpRequest } from "../../transport/http-message.ts";
import type { Config } from "../config/config.ts";
import { readDocument, readViewerFile, viewerFiles } from "./files.ts";
import { withKratosOptions } from "./kratos-document.ts";
import { pageCss, pageHtml, pageJs } from "./page.ts";

/** The answer to a request for a page. */
export interface PageAnswer {
  readonly status: 200 | 304 | 404 | 405;
  readonly headers: OutgoingHttpHeaders;
  readonly body?: string | Uint8Array;
}

export interface Page {
  readonly contentType: string;
  /** Undefined if the file is not installed. */
  readonly read: () => Promise<string | Uint8Array | undefined>;
}

interface LoadedPage {
  readonly body: string | Uint8Array;
  readonly etag: string;
}

/** The page sends requests to its own origin only, and no other page may embed it. Swagger UI's style sheet contains images. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const commonHeaders: OutgoingHttpHeaders = {
  "content-security-policy": contentSecurityPolicy,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
};

const types = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  json: "application/json",
};

/** The OpenAPI documents at /openapi.json and /openapi/<api>.json, and the page at /docs that shows them. */
export class Docs {
  readonly #pages: ReadonlyMap<string, Page>;
  readonly #loaded = new Map<Page, LoadedPage>();

  /** `apis`: names of the documented APIs. */
  constructor(apis: readonly string[], { kratos }: Pick<Config, "kratos">) {
    const own = { name: "session", path: "/openapi.json" };
    const documents = [own, ...apis.map((name) => ({ name, path: `/openapi/${name}.json` }))];
    const text = (content: string) => () => Promise.resolve(content);
    this.#pages = new Map<string, Page>([
      ["/docs", { contentType: types.html, read: text(pageHtml(documents)) }],
      ["/docs/page.css", { contentType: types.css, read: text(pageCss) }],
      ["/docs/page.js", { contentType: types.js, read: text(pageJs) }],
      ...viewerFiles.map((name): [string, Page] => {
        const contentType = name.endsWith(".css") ? types.css : types.js;
        return [`/docs/${name}`, { contentType, read: () => readViewerFile(name) }];
      }),
      ...documents.map(({ name, path }): [string, Page] => {
        const read =
          name === "kratos" ? () => withKratosOptions(readDocument(name), kratos) : () => readDocument(name);
        return [path, { contentType: types.json, read }];
      }),
    ]);
  }

  get paths(): readonly string[] {
    return [...this.#pages.keys()];
  }

  /** Finds the page of a path. Costs other paths two comparisons. */
  find(path: string): Page | undefined {
    return path.startsWith("/docs") || path.startsWith("/openapi") ? this.#pages.get(path) : undefined;
  }

  async answer(page: Page, { method, headers }: HttpRequest): Promise<PageAnswer> {
    if (method !== "GET" && method !== "HEAD") {
      return { status: 405, headers: { ...commonHeaders, allow: "GET, HEAD" } };
    }
    const loaded = await this.#load(page);
    if (loaded === undefined) {
      const body = "The viewer is not installed: run `npm install`. The API is described at /openapi.json.\n";
      return {
        status: 404,
        headers: { ...commonHeaders, "content-type": "text/plain; charset=utf-8" },
        body,
      };
    }
    const { body, etag } = loaded;
    const caching = { ...commonHeaders, etag, "cache-control": "no-cache" };
    if (isNamed(headers["if-none-match"], etag)) return { status: 304, headers: caching };
    const whole = { ...caching, "content-type": page.contentType, "content-length": Buffer.byteLength(body) };
    return { status: 200, headers: whole, body };
  }

  /** Without its viewer the page is missing too, instead of being blank. */
  async #load(page: Page): Promise<LoadedPage | undefined> {
    const known = this.#loaded.get(page);
    if (known !== undefined) return known;
    const isViewer = page.contentType === types.html && (await readViewerFile(viewerFiles[0])) === undefined;
    const body = isViewer ? undefined : await page.read();
    if (body === undefined) return undefined;
    const loaded = { body, etag: `"${createHash("sha256").update(body).digest("base64url")}"` };
    this.#loaded.set(page, loaded);
    return loaded;
  }
}

/** Whether an If-None-Match header names this version (RFC 9110, 13.1.2). */
function isNamed(header: string | undefined, etag: string): boolean {
  const tags = header?.split(",").map((tag) => tag.trim().replace(/^W\//, "")) ?? [];
  return tags.includes(etag) || tags.includes("*");
}
