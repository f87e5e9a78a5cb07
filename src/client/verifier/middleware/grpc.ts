import {
  Metadata,
  ResponderBuilder,
  ServerInterceptingCall,
  type ServerInterceptor,
  ServerListenerBuilder,
  status as Status,
} from "@grpc/grpc-js";
import type { SessionClaims } from "../jwt/claims.ts";
import type { Verifier } from "../verifier.ts";
import { type EdgeOptions, admit } from "./authenticate-request.ts";

/** By the metadata that handlers get with the call. */
const claimsByMetadata = new WeakMap<Metadata, SessionClaims>();

/** The claims of the session that makes the call. Throws where {@link verifierInterceptor} did not let it in. */
export function sessionClaimsOf(call: { readonly metadata: Metadata }): SessionClaims {
  const claims = claimsByMetadata.get(call.metadata);
  if (claims === undefined) {
    throw new Error("the call did not pass verifierInterceptor: add it to the server's interceptors");
  }
  return claims;
}

/**
 * Lets only calls with a good session JWT reach the handlers of a `@grpc/grpc-js` server. Others fail with UNAUTHENTICATED, or
 * with UNAVAILABLE where it cannot be told now. `isPublic` tells by its path, such as `/grpc.health.v1.Health/Check`, which
 * method needs no session; none is by default.
 *
 * ```ts
 * const server = new Server({ interceptors: [verifierInterceptor(verifier)] });
 * server.addService(definition, {
 *   greet: (call, callback) => callback(null, { text: `hello ${sessionClaimsOf(call).memberId}` }),
 * });
 * ```
 */
export function verifierInterceptor(
  verifier: Verifier,
  {
    isPublic = () => false,
    ...options
  }: EdgeOptions & { readonly isPublic?: (path: string) => boolean } = {},
): ServerInterceptor {
  return (method, call) => {
    if (isPublic(method.path)) return new ServerInterceptingCall(call);
    const listener = new ServerListenerBuilder()
      .withOnReceiveMetadata((metadata, next) => {
        void admit(verifier, options, (name) => textOf(metadata, name)).then((admission) => {
          if (admission.claims === undefined) {
            const code = admission.status === 401 ? Status.UNAUTHENTICATED : Status.UNAVAILABLE;
            call.sendStatus({ code, details: admission.message, metadata: metadataOf(admission.headers) });
          } else {
            claimsByMetadata.set(metadata, admission.claims);
            next(metadata);
          }
        });
      })
      .build();
    return new ServerInterceptingCall(
      call,
      new ResponderBuilder().withStart((next) => next(listener)).build(),
    );
  };
}

function textOf(metadata: Metadata, name: string): string | undefined {
  const [value] = metadata.get(name);
  return typeof value === "string" ? value : undefined;
}

function metadataOf(headers: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return metadata;
}
