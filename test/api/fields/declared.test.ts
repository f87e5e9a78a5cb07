import type { DescField, DescMessage, DescMethod } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { assembled } from "../../support/fixtures/assembled.ts";
import { behavioursOf, isOwn } from "./message-fields.ts";

const methods: readonly DescMethod[] = [...assembled().access.entries()]
  .map(([method]) => method)
  .filter(({ input }) => isOwn(input));
const files = new Set(
  methods.flatMap(({ input, output }) => [input.file, ...input.file.dependencies, output.file]),
);
const messages = [...files]
  .flatMap(({ messages }) => messages)
  .flatMap(withNested)
  .filter(isOwn);

function withNested(message: DescMessage): readonly DescMessage[] {
  return [message, ...message.nestedMessages.flatMap(withNested)];
}

/** The messages of these roots. Those that a client cannot set are not part of a request. */
function closureOf(roots: readonly DescMessage[], kind: "requests" | "answers"): ReadonlySet<DescMessage> {
  const found = new Set<DescMessage>();
  const visit = (message: DescMessage) => {
    if (found.has(message)) return;
    found.add(message);
    for (const field of message.fields) {
      const isHidden = kind === "requests" && behavioursOf(field).includes("OUTPUT_ONLY");
      if (isOwn(field.message) && !isHidden) visit(field.message);
    }
  };
  for (const root of roots) visit(root);
  return found;
}

const inRequests = closureOf(
  methods.map(({ input }) => input),
  "requests",
);
const inAnswers = closureOf(
  methods.map(({ output }) => output),
  "answers",
);

/** The behaviours that a field of the message may have. */
function allowedFor(message: DescMessage, { oneof }: DescField): readonly string[] {
  if (!inRequests.has(message)) return ["OUTPUT_ONLY"];
  if (oneof !== undefined) return ["OPTIONAL"];
  if (!inAnswers.has(message)) return ["REQUIRED", "OPTIONAL"];
  // A client can have read it before.
  const known = ["REQUIRED,IDENTIFIER", "REQUIRED,IMMUTABLE", "OPTIONAL,IMMUTABLE"];
  return ["REQUIRED", "OPTIONAL", "OUTPUT_ONLY", ...known];
}

test.each(messages.map((message) => [message.typeName, message] as const))(
  "%s is part of a request or an answer, and its fields have the behaviours that this allows",
  (_, message) => {
    expect(inRequests.has(message) || inAnswers.has(message)).toBe(true);
    for (const field of message.fields) {
      expect(allowedFor(message, field), field.name).toContain(behavioursOf(field).join());
    }
  },
);
