import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { HttpRule } from "../../gen/google/api/http_pb.ts";
import type { ServiceAccess } from "../auth/access.ts";
import type { CredentialScheme } from "../auth/request-credentials.ts";
import type { Cause } from "../domain/revocation.ts";
import type { RevocationDetails } from "../domain/use-cases/revoke.ts";
import type { Dialect } from "../rest/dialect.ts";
import { reasonHeader } from "../rpc/connect-errors.ts";

/** A dialect whose answers have no headers besides the documented ones. */
export type DocumentedDialect = Dialect & Required<Pick<Dialect, "withheldHeaders">>;

/** Headers of our errors that no documented API has. */
export const withheldHeaders: readonly string[] = [reasonHeader];

/** A documented REST API on the use cases. It is served only over REST. */
export interface CompatApi<S extends DescService = DescService> {
  readonly service: S;
  readonly implementation: ServiceImpl<S>;
  readonly access: ServiceAccess<S>;
  readonly scheme: CredentialScheme;
  readonly dialect: DocumentedDialect;
  /** Its JWKS, which is public: pages of any origin may read it. */
  readonly jwks?: DescMethod;
  /** Origins whose pages may call it with its cookie, and no others may; undefined if it has no cookie. */
  readonly cookieOrigins?: readonly string[];
  /** Its paths, if configuration changes the documented ones. */
  readonly rules?: readonly HttpRule[];
}

/** Revocation details for APIs that carry neither cause nor reason. */
export function detailsFor(cause: Cause): RevocationDetails {
  return { cause, reason: "", count: false };
}
