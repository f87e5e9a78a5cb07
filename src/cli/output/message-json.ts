import { type DescMessage, type JsonValue, type MessageShape, toJson } from "@bufbuild/protobuf";

/** A message as `--json` prints it: the proto JSON mapping, with the empty fields too, so that every answer has the same shape. */
export function messageJson<Desc extends DescMessage>(desc: Desc, message: MessageShape<Desc>): JsonValue {
  return toJson(desc, message, { alwaysEmitImplicit: true });
}
