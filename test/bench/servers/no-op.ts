import { create, toBinary } from "@bufbuild/protobuf";
import { BookSchema, ShelfService } from "../../unit/rest/gen/shelf/v1/shelf_pb.ts";

/** The service whose one method every server of the bench answers with a constant. */
export { ShelfService as NoOpService };

/** Where the no-op is called. */
export const noOpPath = "/shelf.v1.ShelfService/GetBook";

/** What is asked, about as long as a request to revoke a session by id, and what is answered. */
export const noOpRequest = create(BookSchema, { name: "r".repeat(36) });
export const noOpAnswer = create(BookSchema, { name: "a".repeat(36) });

/** A message as gRPC sends it: not compressed, its length, itself. */
export function grpcFrame(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  return frame;
}

/** The bytes of both on the wire. */
export const noOpRequestFrame = grpcFrame(toBinary(BookSchema, noOpRequest));
export const noOpAnswerFrame = grpcFrame(toBinary(BookSchema, noOpAnswer));
