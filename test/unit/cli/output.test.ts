import { expect, test } from "vitest";
import { table } from "../../../src/cli/output/table.ts";
import { errorText } from "../../../src/cli/output/failure.ts";

test("the error of a host that cannot be reached has the error of each address", () => {
  const refused = ["::1", "127.0.0.1"].map((address) => new Error(`connect ECONNREFUSED ${address}:5432`));
  const error = new Error("the database does not answer", { cause: new AggregateError(refused) });
  expect(errorText(error)).toBe(
    "the database does not answer\n  because: connect ECONNREFUSED ::1:5432; connect ECONNREFUSED 127.0.0.1:5432",
  );
});

test("a table is as wide as its cells, and its lines do not end with blanks", () => {
  const columns = { a: ([a = ""]: string[]) => a, bb: ([, b = ""]: string[]) => b };
  expect(table(columns, [["ccc", "d"], []])).toBe("a    bb\n---  --\nccc  d\n");
});
