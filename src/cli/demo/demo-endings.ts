import type { DemoService, DemoSession } from "./demo-service.ts";

/** A way to end a session. */
export interface Ending {
  /** The API. */
  readonly by: string;
  /** The call, as its documentation names it. */
  readonly request: string;
  /** What it must answer. */
  readonly answer: string;
  /** Ends `session`; `other` is a second session of the same member. */
  end(service: DemoService, session: DemoSession, other: DemoSession): Promise<string>;
}

/** Every way that this version has. */
export const endings: readonly Ending[] = [
  grpc("Revoke {id}", (service, { id }) => service.revoke({ case: "id", value: id })),
  grpc("Revoke {token}", (service, { token }) => service.revoke({ case: "token", value: token })),
  grpc("Revoke {jwt}", (service, { jwt }) => service.revoke({ case: "jwt", value: jwt })),
  grpc("Revoke {member_id}", (service, { memberId }) =>
    service.revoke({ case: "memberId", value: memberId }),
  ),
  grpc("RevokeAll {member_id}", (service, { memberId }) =>
    service.revokeAll({ case: "memberId", value: memberId }),
  ),
  grpc("RevokeAll {organization_id}", (service, { organizationId }) =>
    service.revokeAll({ case: "organizationId", value: organizationId }),
  ),
  grpc("RevokeAll {project}", (service) => service.revokeAll({ case: "project", value: true })),
  rest("REST", "POST /session/v1/sessions/{id}:revoke", (service, { id }) =>
    service.rest("POST", `/session/v1/sessions/${id}:revoke`, { body: {} }),
  ),
  rest("REST", "POST /session/v1/sessions:revokeAll", (service, { memberId }) =>
    service.rest("POST", "/session/v1/sessions:revokeAll", { body: { member_id: memberId } }),
  ),
  rest("Flashback", "POST /sessions/{id}/revoke", (service, { id }, other) =>
    service.rest("POST", `/sessions/${id}/revoke`, { as: other.token }),
  ),
  rest("Flashback", "POST /sessions/revoke-all", (service, _session, other) =>
    service.rest("POST", "/sessions/revoke-all", { as: other.token }),
  ),
  rest("Stytch", "POST /v1/sessions/revoke {session_id}", (service, { id }) =>
    service.rest("POST", "/v1/sessions/revoke", { body: { session_id: id } }),
  ),
  rest("Stytch", "POST /v1/sessions/revoke {session_token}", (service, { token }) =>
    service.rest("POST", "/v1/sessions/revoke", { body: { session_token: token } }),
  ),
  rest("Stytch", "POST /v1/sessions/revoke {session_jwt}", (service, { jwt }) =>
    service.rest("POST", "/v1/sessions/revoke", { body: { session_jwt: jwt } }),
  ),
  rest("Stytch B2B", "POST /v1/b2b/sessions/revoke {member_session_id}", (service, { id }) =>
    service.rest("POST", "/v1/b2b/sessions/revoke", { body: { member_session_id: id } }),
  ),
  rest("Stytch B2B", "POST /v1/b2b/sessions/revoke {member_id}", (service, { memberId }) =>
    service.rest("POST", "/v1/b2b/sessions/revoke", { body: { member_id: memberId } }),
  ),
  {
    by: "Kratos",
    request: "DELETE /auth/sessions/{id}",
    answer: "204",
    end: (service, { id }, other) => service.rest("DELETE", `/auth/sessions/${id}`, { as: other.token }),
  },
];

function grpc(request: string, end: Ending["end"]): Ending {
  return { by: "gRPC", request, answer: "OK", end };
}

function rest(by: string, request: string, end: Ending["end"]): Ending {
  return { by, request, answer: "200", end };
}
