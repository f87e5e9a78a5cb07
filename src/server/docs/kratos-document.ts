import type { KratosOptions } from "../../compat/kratos/kratos.ts";

interface Described {
  paths: Record<string, unknown>;
  components: { securitySchemes: { cookie: { name: string } } };
}

/** The document of the Kratos API with the configured paths and cookie in place of the documented ones. */
export async function withKratosOptions(
  document: Promise<Uint8Array>,
  { prefix, cookieName }: Pick<KratosOptions, "prefix" | "cookieName">,
): Promise<string> {
  const described = JSON.parse(Buffer.from(await document).toString()) as Described;
  described.paths = Object.fromEntries(
    Object.entries(described.paths).map(([path, item]) => [path.replace(/^\/auth(?=\/)/, prefix), item]),
  );
  described.components.securitySchemes.cookie.name = cookieName;
  return JSON.stringify(described);
}
