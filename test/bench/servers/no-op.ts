import { create, toBinary } from "@bufbuild/protobuf";
import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus,
  Health as NoOpService,
} from "../../../gen/grpc/health/v1/health_pb.ts";
import { envelope } from "../../support/fixtures/http2-bytes.ts";

/** Its method Check is the no-op: sessiond answers it from memory, behind the same gate, interceptors and log as any other call. */
export { NoOpService };

export const noOpPath = "/grpc.health.v1.Health/Check";

/** The question, and the constant that every server of the bench answers. */
const noOpRequest = create(HealthCheckRequestSchema, { service: "session.v1.SessionService" });
export const noOpAnswer = create(HealthCheckResponseSchema, {
  status: HealthCheckResponse_ServingStatus.SERVING,
});

export const noOpRequestFrame = envelope(toBinary(HealthCheckRequestSchema, noOpRequest));
export const noOpAnswerFrame = envelope(toBinary(HealthCheckResponseSchema, noOpAnswer));
