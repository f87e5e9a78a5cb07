import {
  Metadata,
  ResponderBuilder,
  ServerInterceptingCall,
  type ServerInterceptor,
  ServerListenerBuilder,
  status as Status,
} from "@grpc/grpc-js";
import type { SessionClaims } from "../jwt/jwt-check.ts";
import type { Verifier } from "../verifier.ts";
import {
  type MiddlewareOptions,
  attachClaims,
  attachedClaims,
  authenticateRequest,
} from "./authenticate-request.ts";

/** Returns the claims of the call's session. Throws if the call did not pass {@link verifierInterceptor}. */
export function sessionClaimsOf(call: { readonly metadata: Metadata }): SessionClaims {
  const problem = "the call did not pass verifierInterceptor: add it to the server's interceptors";
  return attachedClaims(call.metadata, problem);
}

/**
 * Accepts calls with a valid session JWT on a `@grpc/grpc-js` server. Others fail with UNAUTHENTICATED, or with UNAVAILABLE if no
 * verdict is possible at present. `isPublic` exempts methods by path, such as `/grpc.health.v1.Health/Check`; none by default.
 */
export function verifierInterceptor(
  verifier: Verifier,
  {
    isPublic = () => false,
    ...options
  }: MiddlewareOptions & { readonly isPublic?: (path: string) => boolean } = {},
): ServerInterceptor {
  return (method, call) => {
    if (isPublic(method.path)) return new ServerInterceptingCall(call);
    const listener = new ServerListenerBuilder()
      .withOnReceiveMetadata((metadata, next) => {
        void authenticateRequest(verifier, options, (name) => textOf(metadata, name)).then((outcome) => {
          if (outcome.claims === undefined) {
            const code = outcome.status === 401 ? Status.UNAUTHENTICATED : Status.UNAVAILABLE;
            call.sendStatus({
              code,
              details: outcome.message,
              metadata: Metadata.fromHttp2Headers(outcome.headers),
            });
          } else {
            attachClaims(metadata, outcome.claims);
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
