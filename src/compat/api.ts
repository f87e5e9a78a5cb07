import type { DescService } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { HttpRule } from "../../gen/google/api/http_pb.ts";
import type { ServiceAccess } from "../auth/access.ts";
import type { CredentialScheme } from "../auth/request-credentials.ts";
import type { Cause } from "../domain/revocation.ts";
import type { RevocationDetails } from "../domain/use-cases/revoke.ts";
import type { Dialect } from "../rest/dialect.ts";

/** One documented REST API: its service, served on the use cases, and how it speaks. It is served over REST alone. */
export interface CompatApi<S extends DescService = DescService> {
  readonly service: S;
  readonly implementation: ServiceImpl<S>;
  readonly access: ServiceAccess<S>;
  /** Where it looks for credentials. */
  readonly scheme: CredentialScheme;
  readonly dialect: Dialect;
  /** Its paths, where configuration changes the documented ones. */
  readonly rules?: readonly HttpRule[];
}

/** RevocationDetails a session ends through a documented API, which has no words for it. */
export function detailsFor(cause: Cause): RevocationDetails {
  return { cause, reason: "", count: false };
}
