import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { buffer } from "node:stream/consumers";
import {
  type DescMethod,
  type DescService,
  type JsonObject,
  createFileRegistry,
  fromBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { MethodAccess } from "../../auth/access.ts";
import { compatOutlines } from "../../compat/outlines.ts";
import type { Dependencies, SigningKeyDependencies } from "../../domain/use-cases/dependencies.ts";
import { openApiDocument } from "../../rest/openapi/document.ts";
import type { ErrorOutline } from "../../rest/openapi/outline.ts";
import { collectBindings } from "../../rest/routes/http-rules.ts";
import { compileRoute } from "../../rest/routes/route.ts";
import { projectServiceAccess } from "../../rpc/project-service.ts";
import { sessionServiceAccess } from "../../rpc/session-service.ts";
import { readConfig } from "../config/config.ts";
import { apiName, documentedApis } from "../documented-apis.ts";
import { errorExample } from "./error-example.ts";
import { reasonDocs, reasonTable } from "./error-reasons.ts";
import { ownOutline } from "./own-outline.ts";

// Writes gen/openapi and the table of error reasons in proto/README.md. Reads a FileDescriptorSet with comments from standard
// input, because the stubs in gen have none. `npm run generate` runs it.

const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, await buffer(process.stdin)));

function named<T>(found: T | undefined, name: string): T {
  if (found === undefined) throw new Error(`standard input describes no ${name}`);
  return found;
}

function serviceNamed(name: string): DescService {
  return named(registry.getService(name), name);
}

function write(name: string, document: JsonObject): void {
  writeFileSync(`gen/openapi/${name}.json`, `${JSON.stringify(document, undefined, 2)}\n`);
}

function writeOwn(): void {
  const access: Readonly<Record<string, Readonly<Record<string, MethodAccess>>>> = {
    "session.v1.SessionService": sessionServiceAccess,
    "session.v1.ProjectService": projectServiceAccess,
  };
  const routes = collectBindings(Object.keys(access).map(serviceNamed), []).map(compileRoute);
  const reasons = reasonDocs(named(registry.getEnum("session.v1.ErrorReason"), "ErrorReason"));
  const accessOf = ({ parent, localName }: DescMethod) =>
    named(access[parent.typeName]?.[localName], localName);
  write("session", openApiDocument(routes, ownOutline(routes, accessOf, reasons)));
  writeErrorTable(reasonTable(reasons));
}

function writeErrorTable(table: string): void {
  const page = "proto/README.md";
  const marks = /(<!-- error reasons:.*-->\n\n)[^]*(<!-- end of error reasons -->)/;
  const text = readFileSync(page, "utf8");
  if (!marks.test(text)) throw new Error(`${page} has no place for the error reasons`);
  writeFileSync(
    page,
    text.replace(marks, (_, begin: string, end: string) => `${begin}${table}\n\n${end}`),
  );
}

function writeDocumented(): void {
  const read = readConfig({});
  if ("problems" in read) throw new Error(read.problems.join("\n"));
  for (const api of documentedApis(noDependencies, read.config)) {
    const service = serviceNamed(api.service.typeName);
    const name = apiName(service);
    const { credentials, errors, ...outline } = named(
      compatOutlines[name],
      `API ${name} (src/compat/outlines.ts)`,
    );
    const access: Readonly<Record<string, MethodAccess>> = api.access;
    const security = ({ localName }: DescMethod) => (access[localName] === "public" ? [] : credentials);
    const routes = collectBindings([service], api.rules ?? []).map(compileRoute);
    const answers = Object.entries(errors).map(([status, [description, reason]]): [string, ErrorOutline] => [
      status,
      { description, ...(reason && { example: errorExample(api.dialect, reason) }) },
    ]);
    const { dialect } = api;
    const whole = { ...outline, version: "v1", dialect, security, errors: Object.fromEntries(answers) };
    write(name, openApiDocument(routes, whole));
  }
}

/** Fails if an API uses a dependency before it is called. */
const noDependencies = new Proxy({} as Dependencies & SigningKeyDependencies, {
  get() {
    throw new Error("the documents describe APIs without calling them");
  },
});

mkdirSync("gen/openapi", { recursive: true });
writeOwn();
writeDocumented();
