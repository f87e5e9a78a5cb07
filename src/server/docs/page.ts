/** An API to choose on the page, with the path of its OpenAPI document. */
export interface DocumentedApi {
  readonly name: string;
  readonly path: string;
}

/** The page at /docs. It has no inline script or style, which its Content-Security-Policy forbids. */
export function pageHtml(apis: readonly DocumentedApi[]): string {
  const links = apis.map(
    ({ name, path }) => `<a href="/docs?api=${name}" data-document="${path}">${name}</a>`,
  );
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>sessiond API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="stylesheet" href="/docs/page.css">
<nav aria-label="APIs">${links.join(" ")}</nav>
<div id="viewer"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/page.js"></script>
</html>
`;
}

export const pageCss = `body { margin: 0; }
nav { padding: 0.75rem 1.5rem; font: 1rem sans-serif; background: #1b1b1b; }
nav a { margin-right: 1.5rem; color: #fff; }
nav a[aria-current] { font-weight: bold; text-decoration: none; }
`;

/** Shows the document of the API that the query names, out of those of the page: no other URL can be loaded. */
export const pageJs = `const links = [...document.querySelectorAll("nav a")];
const name = new URLSearchParams(location.search).get("api");
const current = links.find((link) => link.textContent === name) ?? links[0];
current.setAttribute("aria-current", "page");
SwaggerUIBundle({
  url: current.dataset.document,
  dom_id: "#viewer",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  // No request to the badge of validator.swagger.io.
  validatorUrl: null,
});
`;
