import type { Sessiond } from "../../client/client.ts";

export type DemoSession = Readonly<Record<"id" | "memberId" | "organizationId" | "token" | "jwt", string>>;

/** A way to end a session. */
interface Ending {
  /** The API. */
  readonly by: string;
  /** The call, as its documentation names it; for REST it begins with method and path. */
  readonly request: string;
  /** The expected answer: the HTTP status, or for gRPC "OK". */
  readonly answer: string;
}

export interface RestEnding extends Ending {
  /** The body of a request of the service. Without it, the request is one of the member, with another session. */
  readonly bodyOf?: (session: DemoSession) => object;
}

interface GrpcEnding extends Ending {
  readonly call: (sessions: Sessiond["sessions"], session: DemoSession) => Promise<string>;
}

/** Every way to end a session. */
export const endings: readonly (GrpcEnding | RestEnding)[] = [
  grpc("Revoke {id}", (api, { id: value }) => api.revoke({ target: { case: "id", value } })),
  grpc("Revoke {token}", (api, { token: value }) => api.revoke({ target: { case: "token", value } })),
  grpc("Revoke {jwt}", (api, { jwt: value }) => api.revoke({ target: { case: "jwt", value } })),
  grpc("Revoke {member_id}", (api, { memberId: value }) =>
    api.revoke({ target: { case: "memberId", value } }),
  ),
  grpc("RevokeAll {member_id}", (api, { memberId: value }) =>
    api.revokeAll({ scope: { case: "memberId", value } }),
  ),
  grpc("RevokeAll {organization_id}", (api, { organizationId: value }) =>
    api.revokeAll({ scope: { case: "organizationId", value } }),
  ),
  grpc("RevokeAll {project}", (api) => api.revokeAll({ scope: { case: "project", value: {} } })),
  rest("REST", "POST /session/v1/sessions/{id}:revoke", () => ({})),
  rest("REST", "POST /session/v1/sessions:revokeAll", ({ memberId }) => ({ member_id: memberId })),
  { by: "Flashback", request: "POST /sessions/{id}/revoke", answer: "200" },
  { by: "Flashback", request: "POST /sessions/revoke-all", answer: "200" },
  rest("Stytch", "POST /v1/sessions/revoke {session_id}", ({ id }) => ({ session_id: id })),
  rest("Stytch", "POST /v1/sessions/revoke {session_token}", ({ token }) => ({ session_token: token })),
  rest("Stytch", "POST /v1/sessions/revoke {session_jwt}", ({ jwt }) => ({ session_jwt: jwt })),
  rest("Stytch B2B", "POST /v1/b2b/sessions/revoke {member_session_id}", ({ id }) => ({
    member_session_id: id,
  })),
  rest("Stytch B2B", "POST /v1/b2b/sessions/revoke {member_id}", ({ memberId }) => ({ member_id: memberId })),
  { by: "Kratos", request: "DELETE /auth/sessions/{id}", answer: "204" },
];

function grpc(
  request: string,
  call: (...args: Parameters<GrpcEnding["call"]>) => Promise<{ readonly revision?: bigint | undefined }>,
): GrpcEnding {
  return {
    by: "gRPC",
    request,
    answer: "OK",
    call: async (...args) => (((await call(...args)).revision ?? 0n) > 0n ? "OK" : "no revision"),
  };
}

function rest(by: string, request: string, bodyOf: (session: DemoSession) => object): RestEnding {
  return { by, request, answer: "200", bodyOf };
}
