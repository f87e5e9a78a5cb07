import { Metadata, credentials } from "@grpc/grpc-js";
import {
  type CreateResponse,
  type RevokeAllRequest,
  type RevokeAllResponse,
  type RevokeRequest,
  type RevokeResponse,
  SessionService,
} from "../../../gen/session/v1/session_service_pb.ts";
import { errorInfoOf } from "../../client/error-info.ts";
import { grpcClient } from "../../client/grpc.ts";

/** A session of the demo. */
export interface DemoSession {
  readonly id: string;
  readonly memberId: string;
  readonly organizationId: string;
  readonly token: string;
  readonly jwt: string;
}

/** The service as the demo uses it: gRPC for the main job, REST for what each documented API calls. */
export interface DemoService {
  /** A session of this member, of a new one where none is given. */
  create(memberId?: string): Promise<DemoSession>;
  /** "accepted", or "refused: " and the reason. */
  authenticate(token: string): Promise<string>;
  /** The outcome of gRPC Revoke, in words. */
  revoke(target: RevokeRequest["target"]): Promise<string>;
  /** The outcome of gRPC RevokeAll, in words. */
  revokeAll(scope: RevokeAllRequest["scope"]): Promise<string>;
  /** Status and body of a REST call; `as` is the end user's token, the service's own credential where absent. */
  rest(method: string, path: string, options: { body?: object; as?: string }): Promise<string>;
  close(): void;
}

/** Connects to a service at `host:port` with a project's credential. */
export function connectDemo(address: string, projectId: string, secret: string): DemoService {
  const client = grpcClient(SessionService, address, credentials.createInsecure());
  const basic = `Basic ${Buffer.from(`${projectId}:${secret}`).toString("base64")}`;
  const metadata = new Metadata();
  metadata.set("authorization", basic);
  let members = 0;
  return {
    async create(memberId = `member-${++members}`) {
      const organizationId = `org-${members}`;
      const response = await answered<CreateResponse>((done) =>
        client.create({ memberId, organizationId }, metadata, done),
      );
      const { token, jwt } = response;
      return { id: response.session?.id ?? "", memberId, organizationId, token, jwt };
    },
    async authenticate(token) {
      try {
        await answered((done) =>
          client.authenticate({ credential: { case: "token", value: token } }, metadata, done),
        );
        return "accepted";
      } catch (error) {
        return `refused: ${errorInfoOf(error)?.reason ?? String(error)}`;
      }
    },
    async revoke(target) {
      const { revision } = await answered<RevokeResponse>((done) =>
        client.revoke({ target }, metadata, done),
      );
      return revision > 0n ? "OK" : "no revision";
    },
    async revokeAll(scope) {
      const { revision } = await answered<RevokeAllResponse>((done) =>
        client.revokeAll({ scope }, metadata, done),
      );
      return revision > 0n ? "OK" : "no revision";
    },
    async rest(method, path, { body, as }) {
      const response = await fetch(`http://${address}${path}`, {
        method,
        headers: {
          authorization: as === undefined ? basic : `Bearer ${as}`,
          ...(body && { "content-type": "application/json" }),
        },
        ...(body && { body: JSON.stringify(body) }),
      });
      await response.arrayBuffer();
      return String(response.status);
    },
    close: () => client.close(),
  };
}

function answered<T>(call: (done: (error: Error | null, response?: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, response) =>
      error === null && response !== undefined ? resolve(response) : reject(error ?? new Error("no answer")),
    );
  });
}
