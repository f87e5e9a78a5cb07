import type { DescService } from "@bufbuild/protobuf";
import type { CompatApi } from "../compat/api.ts";
import { flashback } from "../compat/flashback/flashback.ts";
import { kratos } from "../compat/kratos/kratos.ts";
import { stytchB2b } from "../compat/stytch/b2b.ts";
import { stytch } from "../compat/stytch/consumer.ts";
import type { Dependencies, SigningKeyDependencies } from "../domain/use-cases/dependencies.ts";
import type { Config } from "./config/config.ts";

/** The documented APIs that are served beside the service's own. */
export function documentedApis(
  deps: Dependencies & SigningKeyDependencies,
  config: Pick<Config, "kratos" | "stytch">,
): readonly CompatApi[] {
  return [
    flashback(deps),
    stytch(deps, config.stytch),
    stytchB2b(deps, config.stytch),
    kratos(deps, config.kratos),
  ];
}

/** The name of an API: the second part of its package, such as `stytch_b2b` of `compat.stytch_b2b.v1`. */
export function apiName({ typeName }: DescService): string {
  const [, name = ""] = typeName.split(".");
  return name;
}
