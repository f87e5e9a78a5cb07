import type { JsonValue } from "@bufbuild/protobuf";
import { createContextValues } from "@connectrpc/connect";
import { unknownPeer } from "../../auth/request-credentials.ts";
import { type Reason, SessiondError } from "../../domain/errors.ts";
import type { Dialect } from "../../rest/dialect.ts";
import { failureOf } from "../../rest/errors/failure.ts";
import { statusJson } from "../../rest/errors/status-json.ts";
import { callRecordKey } from "../../rpc/call-record.ts";
import { fromSessiondError } from "../../rpc/connect-errors.ts";

const uuid = "01234567-89ab-4cde-8f01-23456789abcd";

/** The body with which a dialect answers a failure of this reason. */
export function errorExample(dialect: Dialect, reason: Reason): JsonValue {
  const failure = failureOf(fromSessiondError(new SessiondError(reason)));
  const record = { id: uuid, uuid, start: 0, peer: unknownPeer };
  const contextValues = createContextValues().set(callRecordKey, record);
  const request = { method: undefined, httpMethod: "POST", path: "", header: new Headers(), contextValues };
  const body = dialect.writeError?.(failure, request).body ?? { json: statusJson(failure.error) };
  return "json" in body ? body.json : body.text;
}
