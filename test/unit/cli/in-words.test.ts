import { expect, test } from "vitest";
import { inWords } from "../../../src/cli/output/in-words.ts";

test("a host of which no address can be reached says so of each", () => {
  const refused = ["::1", "127.0.0.1"].map((address) => new Error(`connect ECONNREFUSED ${address}:5432`));
  const error = new Error("the database does not answer", { cause: new AggregateError(refused) });
  expect(inWords(error)).toBe(
    "the database does not answer\n  because: connect ECONNREFUSED ::1:5432; connect ECONNREFUSED 127.0.0.1:5432",
  );
});
