import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize, sep } from "node:path";
import { expect, test } from "vitest";

/** What a layer may import besides itself. */
interface Layer {
  /** Other layers, each of them above this one in the list. */
  readonly layers?: readonly string[];
  /** Folders of gen. */
  readonly gen?: RegExp;
  readonly packages: RegExp;
  /** The layer's folders, "." for its own files: each imports only from those before it. */
  readonly folders?: readonly string[];
}

/** The layers of src. Imports, those of types included, point up this list only. */
const layers: Readonly<Record<string, Layer>> = {
  jwt: { packages: /^(uuid|node:crypto)$/, folders: ["."] },
  transport: { packages: /^(@bufbuild\/protobuf|@connectrpc\/connect|node:.*)$/, folders: ["."] },
  domain: {
    layers: ["jwt", "transport"],
    gen: /^(google\/rpc|session\/v1\/error_reason)/,
    packages: /^(@bufbuild\/protobuf|jose|lru-cache|uuid|node:(crypto|net))$/,
    folders: [".", "sessions", "keys", "revocations", "store", "use-cases"],
  },
  storage: {
    layers: ["jwt", "transport", "domain"],
    packages: /^(@bufbuild\/protobuf|jose|kysely(\/.*)?|pg|node:.*)$/,
    folders: [
      "schema/migrations",
      "schema",
      "connection",
      "replicas",
      "sessions",
      "revocations",
      "projects",
      "purge",
      ".",
      "recovery",
    ],
  },
  "embedded-postgres": { layers: ["transport"], packages: /^(pg|node:.*)$/, folders: ["."] },
  auth: {
    layers: ["jwt", "transport", "domain"],
    packages: /^(@bufbuild\/protobuf|node:(crypto|net))$/,
    folders: ["."],
  },
  rpc: {
    layers: ["jwt", "transport", "domain", "auth"],
    gen: /^(google\/rpc|session|grpc)\//,
    packages: /^(@bufbuild\/protobuf(\/.*)?|@connectrpc\/connect|jose)$/,
    folders: ["messages", "grpc", "."],
  },
  rest: {
    layers: ["transport"],
    gen: /^(google|rest)\//,
    packages: /^(@bufbuild\/protobuf(\/.*)?|@connectrpc\/connect(\/protocol)?|node:.*)$/,
    folders: ["errors", "http", "routes", "binding", ".", "openapi"],
  },
  compat: {
    layers: ["domain", "auth", "rpc", "rest"],
    gen: /^(google\/api|compat)\//,
    packages: /^(@bufbuild\/protobuf|@connectrpc\/connect|node:http)$/,
    folders: [".", "flashback", "kratos", "stytch"],
  },
  server: {
    layers: ["transport", "domain", "storage", "embedded-postgres", "auth", "rpc", "rest", "compat"],
    gen: /^(google\/rpc|session|grpc)\//,
    packages:
      /^(@bufbuild\/protobuf(\/.*)?|@connectrpc\/.*|@opentelemetry\/api|kysely|pino|prom-client|zod|node:.*)$/,
    folders: [
      "config",
      "tls",
      "listener",
      "observability",
      "rpc",
      "operator",
      "docs",
      ".",
      "workers",
      "openapi",
    ],
  },
  client: {
    layers: ["jwt", "transport"],
    gen: /^(session|google\/rpc)\//,
    packages: /^(@bufbuild\/protobuf(\/.*)?|@connectrpc\/.*|@grpc\/grpc-js|lru-cache|node:.*)$/,
    folders: [".", "verifier/jwt", "verifier/revocations", "verifier", "verifier/middleware"],
  },
  cli: {
    layers: ["transport", "server", "client"],
    gen: /^session\//,
    packages: /^(@bufbuild\/protobuf(\/.*)?|@connectrpc\/connect|commander|pino|node:.*)$/,
    folders: ["output", "run", "commands", "doctor", "demo", "serve", "."],
  },
};

const files = globSync("src/**/*.ts").filter((file) => !file.endsWith(".d.ts"));

test("every folder of src is a layer", () => {
  expect(new Set(files.map((file) => file.split(sep)[1]))).toEqual(new Set(Object.keys(layers)));
});

test.each(Object.entries(layers))("%s imports only what its layer may", (name, allowed) => {
  const forbidden = files
    .filter((file) => file.startsWith(join("src", name) + sep))
    .flatMap((file) => importsOf(file).map((target) => ({ file, target })))
    .filter(({ target }) => !isAllowed(name, target, allowed))
    .map(({ file, target }) => `${file} imports ${target}`);
  expect(forbidden).toEqual([]);
});

test("within a layer, folders import only from those before them", () => {
  const forbidden = files.flatMap((file) => {
    const [, name = ""] = file.split(sep);
    const folders = layers[name]?.folders;
    if (folders === undefined) return [];
    const from = folders.indexOf(folderOf(file));
    if (from < 0) return [`${file}: ${folderOf(file)} is not a folder of ${name}`];
    return importsOf(file)
      .filter((target) => target.startsWith(join("src", name) + sep))
      .filter((target) => !folders.slice(0, from + 1).includes(folderOf(target)))
      .map((target) => `${file} imports ${target}`);
  });
  expect(forbidden).toEqual([]);
});

test("a folder holds at most 15 files", () => {
  const counts = new Map<string, number>();
  for (const file of globSync("{src,test}/**/*.{ts,txt,md,json}").filter((path) => !path.includes("/gen/"))) {
    counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1);
  }
  expect([...counts].filter(([, count]) => count > 15)).toEqual([]);
});

/** The folder of a file within its layer. */
function folderOf(file: string): string {
  return dirname(file).split(sep).slice(2).join("/") || ".";
}

/** The imports of a file: `src/…` or `gen/…` from the root of the project, or the package's specifier. */
function importsOf(file: string): readonly string[] {
  const specifiers = readFileSync(file, "utf8").matchAll(
    /^(?:import|export)\s(?:[^;]*?\sfrom\s)?"([^"]+)"/gms,
  );
  return Array.from(specifiers, ([, specifier = ""]) =>
    specifier.startsWith(".") ? normalize(join(dirname(file), specifier)) : specifier,
  );
}

function isAllowed(name: string, target: string, allowed: (typeof layers)[string]): boolean {
  const [root, layer = "", ...rest] = target.split(sep);
  if (root === "src") return layer === name || (allowed.layers ?? []).includes(layer);
  if (root === "gen") return allowed.gen?.test([layer, ...rest].join("/")) ?? false;
  return allowed.packages.test(target);
}
