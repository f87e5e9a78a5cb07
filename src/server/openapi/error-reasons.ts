import type { DescEnum } from "@bufbuild/protobuf";
import type { Code } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { type Reason, SessiondError } from "../../domain/errors.ts";
import { httpStatusOf } from "../../rest/errors/failure.ts";
import { commentOf } from "../../rest/openapi/comments.ts";

/** An error reason: what the service sends with it, and what its comment in the proto says. */
export interface ReasonDoc {
  readonly error: SessiondError;
  /** gRPC code, in upper case with underscores. Connect has the same in lower case. */
  readonly grpcCode: string;
  readonly httpStatus: number;
  readonly meaning: string;
  /** Empty if the comment has no such part. */
  readonly metadata: string;
  /** What a caller does about it. */
  readonly action: string;
}

/**
 * Reads the comments of the reasons: `CODE. Meaning. Metadata: keys. Action: what a caller does.` Throws for a comment without an
 * action, or with another code than the service sends.
 */
export function reasonDocs(reasons: DescEnum): readonly ReasonDoc[] {
  return reasons.values
    .filter(({ number }) => number !== 0)
    .map((value) => {
      const error = new SessiondError(value.localName as Reason);
      // google.rpc.Code and Connect's Code have the same numbers.
      const code = error.code as number as Code;
      const grpcCode = codeToString(code).toUpperCase();
      const [begin = "", ...texts] = commentOf(value).replaceAll("\n", " ").split(". ");
      if (begin !== grpcCode) throw new Error(`the comment of ${value.name} must begin with "${grpcCode}. "`);
      const [meaning = "", ...parts] = texts.join(". ").split(/(?<=\.) +(?=Metadata\b|Action\b)/);
      const part = (name: string): string => {
        const found = parts.find((one) => one.startsWith(name)) ?? "";
        const text = found.slice(name.length).replace(/^[:,]? */, "");
        return text.charAt(0).toUpperCase() + text.slice(1);
      };
      if (part("Action") === "") throw new Error(`the comment of ${value.name} has no "Action:"`);
      return {
        error,
        grpcCode,
        httpStatus: httpStatusOf(code),
        meaning,
        metadata: part("Metadata"),
        action: part("Action"),
      };
    });
}

/** A Markdown table of all reasons. */
export function reasonTable(reasons: readonly ReasonDoc[]): string {
  const head = ["reason", "gRPC", "Connect", "REST", "meaning", "metadata", "action"];
  const rows = reasons.map(({ error, grpcCode, httpStatus, meaning, metadata, action }) => {
    const codes = [grpcCode, `\`${grpcCode.toLowerCase()}\``, String(httpStatus)];
    return [`\`${error.reason}\``, ...codes, meaning, metadata, action];
  });
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
