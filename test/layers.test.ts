import { readFileSync, globSync } from "node:fs";
import { dirname, join, normalize, sep } from "node:path";
import { expect, test } from "vitest";

/** What each layer of src may import: other layers, folders of gen, and packages. Nothing else. */
const layers: Record<
  string,
  { readonly layers?: readonly string[]; readonly gen?: RegExp; readonly packages: RegExp }
> = {
  domain: {
    gen: /^(google\/rpc|session\/v1\/error_reason)/,
    packages: /^(@bufbuild\/protobuf|jose|uuid|node:(crypto|async_hooks))$/,
  },
  storage: { layers: ["domain"], packages: /^(@bufbuild\/protobuf|jose|kysely(\/.*)?|pg|node:.*)$/ },
  auth: { layers: ["domain"], packages: /^(@bufbuild\/protobuf|node:crypto)$/ },
  rpc: {
    layers: ["domain", "auth"],
    gen: /^(google\/rpc|session|grpc)\//,
    packages: /^(@bufbuild\/protobuf(\/.*)?|@connectrpc\/connect|jose|node:net)$/,
  },
  rest: {
    gen: /^(google|rest)\//,
    packages: /^(@bufbuild\/protobuf(\/.*)?|@connectrpc\/connect(\/protocol)?|node:.*)$/,
  },
  compat: {
    layers: ["domain", "auth", "rpc", "rest"],
    gen: /^(google\/api|compat)\//,
    packages: /^(@bufbuild\/protobuf|@connectrpc\/connect|node:http)$/,
  },
  server: {
    layers: ["domain", "storage", "auth", "rpc", "rest", "compat"],
    gen: /^(google\/rpc|session|grpc)\//,
    packages:
      /^(@bufbuild\/protobuf|@connectrpc\/.*|@opentelemetry\/api|kysely|pino|prom-client|zod|node:.*)$/,
  },
  client: {
    gen: /^(session|google\/rpc)\//,
    packages: /^(@bufbuild\/protobuf(\/.*)?|@connectrpc\/.*|@grpc\/grpc-js|node:.*)$/,
  },
  cli: {
    layers: ["server", "client"],
    gen: /^session\//,
    packages: /^(@bufbuild\/protobuf(\/.*)?|@connectrpc\/.*|@grpc\/grpc-js|commander|pino|node:.*)$/,
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
