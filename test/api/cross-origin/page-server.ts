import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type ServerResponse, createServer } from "node:http";
import { stripTypeScriptTypes } from "node:module";
import type { AddressInfo } from "node:net";
import { afterAll } from "vitest";

const root = new URL("../../../", import.meta.url);

/** Modules that pages may import, without TypeScript's types. */
const served =
  /^\/(gen|src\/client|test\/api\/cross-origin|node_modules\/@(bufbuild|connectrpc))\/[\w\-/@.]+$/;

/** Bare names that the modules import. */
const importMap = {
  imports: Object.fromEntries([
    ...entries("@bufbuild/protobuf", ["codegenv2", "reflect", "wire", "wkt"]),
    ...entries("@connectrpc/connect", ["protocol", "protocol-connect", "protocol-grpc-web"]),
    ...entries("@connectrpc/connect-web", []),
  ]),
};

function entries(name: string, folders: readonly string[]): [name: string, path: string][] {
  const path = `/node_modules/${name}/dist/esm`;
  return [
    [name, `${path}/index.js`],
    ...folders.map((folder): [string, string] => [`${name}/${folder}`, `${path}/${folder}/index.js`]),
  ];
}

/** Serves an empty page, and this project's modules to it, until the end of the file. Returns the origin of the page. */
export async function pageOrigin(): Promise<string> {
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    if (served.test(path) && !path.includes("..")) void sendModule(path, response);
    else send(response, path === "/" ? 200 : 404, "text/html", page);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const page = `<!doctype html><script type="importmap">${JSON.stringify(importMap)}</script>`;

async function sendModule(path: string, response: ServerResponse): Promise<void> {
  try {
    const text = await readFile(new URL(`.${path}`, root), "utf8");
    send(response, 200, "text/javascript", path.endsWith(".ts") ? stripTypeScriptTypes(text) : text);
  } catch (error) {
    send(response, 500, "text/plain", String(error));
  }
}

function send(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, { "content-type": contentType }).end(body);
}
