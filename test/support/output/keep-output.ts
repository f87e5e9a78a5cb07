import { relative } from "node:path";
import { afterAll, expect } from "vitest";
import { keepAnswers } from "./answers.ts";
import { beginFile, flush } from "./output.ts";

// For vitest's `setupFiles`: runs before the tests of each file, in its process.

beginFile(relative(process.cwd(), expect.getState().testPath ?? ""));
keepAnswers();
afterAll(flush);
