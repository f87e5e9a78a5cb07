import { create, toBinary } from "@bufbuild/protobuf";
import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus,
  Health as NoOpService,
} from "../../../gen/grpc/health/v1/health_pb.ts";

/** Its method Check is the no-op: sessiond answers it from memory, behind the same gate, interceptors and log as any other call. */
export { NoOpService };

/** The path of the no-op over gRPC and Connect. */
export const noOpPath = "/grpc.health.v1.Health/Check";

/** The question, and the constant that every server of the bench answers. */
export const noOpRequest = create(HealthCheckRequestSchema, { service: "session.v1.SessionService" });
export const noOpAnswer = create(HealthCheckResponseSchema, {
  status: HealthCheckResponse_ServingStatus.SERVING,
});

/** Encodes a message as gRPC sends it: a byte that says it is not compressed, its length, the message. */
export function grpcFrame(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  return frame;
}

/** The bytes of both on the wire. */
export const noOpRequestFrame = grpcFrame(toBinary(HealthCheckRequestSchema, noOpRequest));
export const noOpAnswerFrame = grpcFrame(toBinary(HealthCheckResponseSchema, noOpAnswer));
