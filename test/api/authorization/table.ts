import { readFileSync } from "node:fs";

/** Content of authorization.txt. */
export interface Table {
  /** The gRPC code and the HTTP status of each reason. */
  readonly reasons: ReadonlyMap<string, { readonly code: string; readonly status: string }>;
  /** For each request, its targets and the result for each caller and target. */
  readonly requests: ReadonlyMap<string, Expected>;
}

/** Expected outcomes of a request. */
export interface Expected {
  readonly targets: readonly string[];
  readonly outcomes: ReadonlyMap<string, readonly string[]>;
}

/** Reads the table, whose head explains the format. Throws for a wrong number of outcomes and for a duplicate caller. */
export function readTable(file: URL): Table {
  const sections = sectionsOf(readFileSync(file, "utf8"));
  const lines = (name: string) => sections.get(name) ?? [];
  const reasons = new Map(
    lines("reasons").map((line) => {
      const [reason = "", code = "", status = ""] = line.split(/ +/);
      return [reason, { code, status }];
    }),
  );
  const groups = new Map<string, readonly string[]>();
  const membersOf = (names: string) => names.split(/, */).flatMap((name) => groups.get(name) ?? name);
  for (const line of lines("groups")) {
    const [name = "", members = ""] = line.split(/ *= */);
    groups.set(name, membersOf(members));
  }
  const requests = [...sections]
    .filter(([name]) => name.includes("/"))
    .map(([name, [targets = "", ...given]]): [string, Expected] => {
      const all = given.flatMap((line) => (line.includes(": ") ? line : lines(line)));
      return [name, expectedOf(targets.split(/ *\| */), all, membersOf)];
    });
  return { reasons, requests: new Map(requests) };
}

function sectionsOf(text: string): Map<string, string[]> {
  const sections = new Map<string, string[]>();
  let section: string[] = [];
  for (const line of text.split("\n")) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    if (line.startsWith(" ")) section.push(line.trim());
    else if (sections.has(line)) throw new Error(`${line} is given twice`);
    else sections.set(line, (section = []));
  }
  return sections;
}

function expectedOf(
  targets: readonly string[],
  lines: readonly string[],
  membersOf: (names: string) => readonly string[],
): Expected {
  const outcomes = new Map<string, readonly string[]>();
  for (const line of lines) {
    const [names = "", cells = ""] = line.split(/: +/);
    const given = cells.split(/ *\| */);
    const all = given.length === 1 ? targets.map(() => given[0] ?? "") : given;
    if (all.length !== targets.length) throw new Error(`${targets.length} outcomes are expected in: ${line}`);
    for (const caller of membersOf(names)) {
      if (outcomes.has(caller)) throw new Error(`${caller} is given twice: ${line}`);
      outcomes.set(caller, all);
    }
  }
  return { targets, outcomes };
}
