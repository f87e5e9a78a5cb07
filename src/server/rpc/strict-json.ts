import { type DescMessage, type JsonValue, type Message, fromJson } from "@bufbuild/protobuf";
import type { UniversalHandlerOptions } from "@connectrpc/connect/protocol";
import { Refusal } from "../../rest/errors/failure.ts";
import { checkMessage } from "../../rest/binding/json-check.ts";
import { parseJsonBody } from "../../rest/binding/json-parse.ts";

/** How Connect reads JSON, with the decoder of its text, which its serialization takes though the router's types omit it. */
export type JsonOptions = NonNullable<UniversalHandlerOptions["jsonOptions"]> & {
  readonly textDecoder: { decode(bytes?: Uint8Array): string };
};

/**
 * Reads the JSON of RPC messages as strictly as REST does. Left to itself Connect replaces bytes that are no UTF-8, so that
 * two names become one, and repeats keys and text of the message in its errors, where a token may stand.
 */
export function strictJson(message: DescMessage): JsonOptions {
  return {
    // A mistyped member must not widen a call, and an unknown enum name must not vanish.
    ignoreUnknownFields: false,
    textDecoder: { decode: (bytes = new Uint8Array()) => decode(message, bytes) },
  };
}

/** The message in JSON text; throws where the text is not right. */
export function parseStrictly(message: DescMessage, bytes: Uint8Array): Message {
  return fromJson(message, checked(message, bytes), { ignoreUnknownFields: false });
}

/** The text of a message that is known to be right; a ConnectError, which Connect hands on as it is, where it is not. */
function decode(message: DescMessage, bytes: Uint8Array): string {
  try {
    return JSON.stringify(checked(message, bytes));
  } catch (error) {
    throw error instanceof Refusal ? error.failure.error : error;
  }
}

function checked(message: DescMessage, bytes: Uint8Array): JsonValue {
  return checkMessage(message, parseJsonBody(bytes), { unknownMembers: "refuse", registry: undefined });
}
