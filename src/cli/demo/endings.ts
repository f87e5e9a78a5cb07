import type { Sessiond } from "../../client/client.ts";

export interface DemoSession {
  readonly id: string;
  readonly memberId: string;
  readonly organizationId: string;
  readonly token: string;
  readonly jwt: string;
}

/** A way to end a session. */
export type Ending = {
  /** The API. */
  readonly by: string;
  /** The call, as its documentation names it; for REST, method and path before anything else. */
  readonly request: string;
} & (
  | { readonly call: GrpcCall }
  | {
      /** The expected status. */
      readonly status: number;
      /** The body of a request of the service. Without it the request is one of the member, with another session. */
      readonly bodyOf?: (session: DemoSession) => object;
    }
);

type GrpcCall = (sessions: Sessiond["sessions"], session: DemoSession) => Promise<{ revision: bigint }>;

/** Every way to end a session. */
export const endings: readonly Ending[] = [
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
  grpc("RevokeAll {project}", (api) => api.revokeAll({ scope: { case: "project", value: true } })),
  rest("REST", "POST /session/v1/sessions/{id}:revoke", () => ({})),
  rest("REST", "POST /session/v1/sessions:revokeAll", ({ memberId }) => ({ member_id: memberId })),
  { by: "Flashback", request: "POST /sessions/{id}/revoke", status: 200 },
  { by: "Flashback", request: "POST /sessions/revoke-all", status: 200 },
  rest("Stytch", "POST /v1/sessions/revoke {session_id}", ({ id }) => ({ session_id: id })),
  rest("Stytch", "POST /v1/sessions/revoke {session_token}", ({ token }) => ({ session_token: token })),
  rest("Stytch", "POST /v1/sessions/revoke {session_jwt}", ({ jwt }) => ({ session_jwt: jwt })),
  rest("Stytch B2B", "POST /v1/b2b/sessions/revoke {member_session_id}", ({ id }) => ({
    member_session_id: id,
  })),
  rest("Stytch B2B", "POST /v1/b2b/sessions/revoke {member_id}", ({ memberId }) => ({ member_id: memberId })),
  { by: "Kratos", request: "DELETE /auth/sessions/{id}", status: 204 },
];

function grpc(request: string, call: GrpcCall): Ending {
  return { by: "gRPC", request, call };
}

function rest(by: string, request: string, bodyOf: (session: DemoSession) => object): Ending {
  return { by, request, status: 200, bodyOf };
}
