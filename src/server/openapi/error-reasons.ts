import type { DescEnum } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { httpStatusOf } from "../../rest/errors/failure.ts";
import { commentOf } from "../../rest/openapi/comments.ts";

/** An error reason as its comment in the proto documents it: `CODE. Meaning. Metadata: keys. What to do: advice.` */
export interface ReasonDoc {
  readonly reason: string;
  /** gRPC code, in upper case with underscores. */
  readonly grpcCode: string;
  /** Connect's name of the code. */
  readonly connectCode: string;
  readonly httpStatus: number;
  readonly meaning: string;
  /** "" if there is none. */
  readonly metadata: string;
  readonly advice: string;
}

const codes = new Map(
  Object.entries(Code)
    .filter((entry): entry is [string, Code] => typeof entry[1] === "number")
    .map(([name, code]) => [name.replaceAll(/(?<=.)[A-Z]/g, (letter) => `_${letter}`).toUpperCase(), code]),
);

/** Reads the comments of an enum of reasons. Throws for a comment without a code. */
export function reasonDocs(reasons: DescEnum): readonly ReasonDoc[] {
  return reasons.values
    .filter(({ number }) => number !== 0)
    .map((value) => {
      const [, grpcCode = "", text = ""] =
        /^([A-Z_]+)\. (.*)$/s.exec(commentOf(value).replaceAll("\n", " ")) ?? [];
      const code = codes.get(grpcCode);
      if (code === undefined) throw new Error(`the comment of ${value.name} must begin with a gRPC code`);
      const parts = text.split(/(?<=\.) +(?=Metadata\b|What to do\b)/);
      const part = (name: string): string => {
        const found = parts.find((one, index) => index > 0 && one.startsWith(name)) ?? "";
        return found.slice(name.length).replace(/^[:,]? */, "");
      };
      return {
        reason: value.localName,
        grpcCode,
        connectCode: grpcCode.toLowerCase(),
        httpStatus: httpStatusOf(code),
        meaning: parts[0] ?? "",
        metadata: part("Metadata"),
        advice: part("What to do"),
      };
    });
}

/** A Markdown table of all reasons. */
export function reasonTable(reasons: readonly ReasonDoc[]): string {
  const rows = reasons.map(({ reason, grpcCode, connectCode, httpStatus, meaning, metadata, advice }) =>
    [`\`${reason}\``, grpcCode, `\`${connectCode}\``, String(httpStatus), meaning, metadata, advice].join(
      " | ",
    ),
  );
  const head = ["reason", "gRPC", "Connect", "REST", "meaning", "metadata", "what to do"];
  return [head.join(" | "), head.map(() => "---").join("|"), ...rows].map((row) => `| ${row} |`).join("\n");
}
