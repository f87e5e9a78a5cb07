import {
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  create,
  toBinary,
} from "@bufbuild/protobuf";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import type { Extent } from "../bench.ts";
import { type NumberRange, sessionId, sessionToken } from "../data/numbers.ts";
import { envelope } from "../../support/fixtures/http2-bytes.ts";
import { authorization } from "../sessiond.ts";
import type { Job } from "./job.ts";

/** Concurrent calls: 128, or a lone one. */
export type InFlight = 128 | 1;

/** Jobs for a server with the bench's project. */
export class Jobs {
  readonly #url: string;
  readonly #seconds: number;
  readonly #inFlight: InFlight;

  constructor(url: string, { seconds }: Pick<Extent, "seconds">, inFlight: InFlight = 128) {
    this.#url = url;
    this.#seconds = seconds;
    this.#inFlight = inFlight;
  }

  /** A method over gRPC, every call with the same request. */
  grpc<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    expect: string,
  ): Job {
    return {
      ...this.#common(`/${method.parent.typeName}/${method.name}`, expect),
      protocol: "grpc",
      headers: { authorization },
      body: envelope(toBinary(method.input, create(method.input, request))),
    };
  }

  /** Revokes another session with each call, by id. The answer says that the session was active until then. */
  revoke(range: NumberRange): Job {
    const request = { target: { case: "id", value: sessionId(0) } } as const;
    const job = this.grpc(SessionService.method.revoke, request, "\x18\x01");
    return { ...job, vary: range.once(job.body) };
  }

  revokeRest(range: NumberRange): Job {
    return this.#json("/v1/sessions/revoke", { session_id: sessionId(0) }, range, '"status_code":200');
  }

  revokeConnect(range: NumberRange): Job {
    return this.#json("/session.v1.SessionService/Revoke", { id: sessionId(0) }, range, '"revokedCount":"1"');
  }

  /** Authenticates another session with each call, by token. */
  authenticate(range: NumberRange, tag: string, { issueJwt = false } = {}): Job {
    const request = { credential: { case: "token", value: sessionToken(tag, 0) }, issueJwt } as const;
    const job = this.grpc(SessionService.method.authenticate, request, issueJwt ? "eyJ" : "member-");
    return { ...job, vary: range.again(job.body) };
  }

  #json(path: string, request: object, range: NumberRange, expect: string): Job {
    const body = Buffer.from(JSON.stringify(request));
    return {
      ...this.#common(path, expect),
      protocol: "http2",
      headers: { authorization, "content-type": "application/json" },
      body,
      vary: range.once(body),
    };
  }

  #common(path: string, expect: string) {
    return {
      url: this.#url,
      connections: this.#inFlight === 1 ? 1 : 8,
      streams: this.#inFlight === 1 ? 1 : 16,
      path,
      method: "POST",
      expect,
      until: { seconds: this.#seconds },
    } as const;
  }
}
