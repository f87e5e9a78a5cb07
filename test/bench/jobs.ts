import {
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  create,
  toBinary,
} from "@bufbuild/protobuf";
import { SessionService } from "../../gen/session/v1/session_service_pb.ts";
import type { Extent } from "./bench.ts";
import { type NumberRange, sessionId, sessionToken } from "./data/numbers.ts";
import type { Job, Numbers } from "./load/job.ts";
import { authorization } from "./sessiond.ts";
import { grpcFrame } from "./servers/no-op.ts";

/** How many calls are in flight: 128, on connections of which HTTP/1.1 needs one for each; or one. */
export type InFlight = "128" | "1";

/** Calls to a server of the bench's project. */
export class Jobs {
  readonly #url: string;
  readonly #common: Pick<Job, "until" | "warmUpSeconds">;
  readonly #inFlight: InFlight;

  constructor(url: string, { seconds, warmUpSeconds }: Extent, inFlight: InFlight = "128") {
    this.#url = url;
    this.#common = { until: { seconds }, warmUpSeconds };
    this.#inFlight = inFlight;
  }

  /** Any method over gRPC. */
  grpc<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    { vary, expect }: { vary?: (body: Buffer) => Numbers; expect?: string } = {},
  ): Job {
    const body = grpcFrame(toBinary(method.input, create(method.input, request)));
    return {
      ...this.#common,
      url: this.#url,
      protocol: "grpc",
      ...(this.#inFlight === "1" ? { connections: 1, streams: 1 } : { connections: 8, streams: 16 }),
      path: `/${method.parent.typeName}/${method.name}`,
      headers: { authorization },
      body: body.toString("base64"),
      ...(vary === undefined ? {} : { vary: vary(body) }),
      ...(expect === undefined ? {} : { expect }),
    };
  }

  /** A POST of JSON over HTTP/1.1. */
  json(path: string, request: object, vary: (body: Buffer) => Numbers, expect: string): Job {
    const body = Buffer.from(JSON.stringify(request));
    return {
      ...this.#common,
      url: this.#url,
      protocol: "http1",
      connections: Number(this.#inFlight),
      streams: 1,
      path,
      headers: { authorization, "content-type": "application/json" },
      body: body.toString("base64"),
      vary: vary(body),
      expect,
    };
  }

  /** Revokes another session with each call, by its id; each answers that it was alive until then. */
  revoke(range: NumberRange): Job {
    const request = { target: { case: "id", value: sessionId(0) } } as const;
    return this.grpc(SessionService.method.revoke, request, {
      vary: (body) => range.once(body),
      expect: "\x18\x01",
    });
  }

  /** The same through Stytch's documented REST API. */
  revokeRest(range: NumberRange): Job {
    return this.json(
      "/v1/sessions/revoke",
      { session_id: sessionId(0) },
      (body) => range.once(body),
      '"status_code":200',
    );
  }

  /** The same through the Connect protocol with JSON. */
  revokeConnect(range: NumberRange): Job {
    return this.json(
      "/session.v1.SessionService/Revoke",
      { id: sessionId(0) },
      (body) => range.once(body),
      '"revokedCount":"1"',
    );
  }

  /** Authenticates another session with each call, by its token; with a fresh JWT in the answer where that is asked for. */
  authenticate(range: NumberRange, tag: string, { issueJwt = false } = {}): Job {
    const request = { credential: { case: "token", value: sessionToken(tag, 0) }, issueJwt } as const;
    return this.grpc(SessionService.method.authenticate, request, {
      vary: (body) => range.again(body),
      expect: issueJwt ? "eyJ" : "member-",
    });
  }
}
