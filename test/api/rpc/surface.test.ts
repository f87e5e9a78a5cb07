import { expect, test } from "vitest";
import type { MethodAccess } from "../../../src/auth/access.ts";
import { assembled } from "../../support/fixtures/assembled.ts";

function inWords(access: MethodAccess): string {
  if (access === "public") return "anybody";
  const service = access.service === undefined ? [] : [`services with ${access.service}`];
  const member = access.member === true ? ["end users"] : [];
  return [...service, ...member].join(", ");
}

test("the served methods, paths and permissions match surface.txt", async () => {
  const { routes, access } = assembled();
  const lines = [...access.entries()].map(([method, entry]) => {
    const name = `${method.parent.typeName}.${method.name}`;
    const paths = routes.filter(({ rpc }) => rpc === name);
    const rest = paths.map(({ httpMethod, template }) => `    ${httpMethod} ${template}\n`).join("");
    return `${name}\n    ${inWords(entry)}\n${rest}`;
  });
  const known = new Set([...access.entries()].map(([method]) => `${method.parent.typeName}.${method.name}`));
  expect(routes.filter(({ rpc }) => !known.has(rpc))).toEqual([]);
  await expect(lines.join("\n")).toMatchFileSnapshot("surface.txt");
});
