import { readFileSync } from "node:fs";

export interface Instruction {
  readonly name: string;
  readonly text: string;
}

export interface Stage {
  /** Empty for the last one. */
  readonly name: string;
  readonly instructions: readonly Instruction[];
}

export function readDockerfile(): readonly [Stage, ...Stage[]] {
  const text = readFileSync("Dockerfile", "utf8")
    .replace(/^#.*\n/gm, "")
    .replace(/\\\n\s*/g, "");
  const instructions = text
    .split("\n")
    .filter((line) => line !== "")
    .map((line): Instruction => {
      const [, name = "", rest = ""] = /^([A-Z]+) (.+)$/.exec(line) ?? [];
      if (name === "") throw new Error(`no instruction: ${line}`);
      return { name, text: rest };
    });
  const stages: { name: string; instructions: Instruction[] }[] = [];
  for (const instruction of instructions) {
    if (instruction.name === "FROM") {
      stages.push({ name: / AS (\w+)$/.exec(instruction.text)?.[1] ?? "", instructions: [] });
    }
    stages.at(-1)?.instructions.push(instruction);
  }
  const [first, ...others] = stages;
  if (first === undefined) throw new Error("a Dockerfile without a stage");
  return [first, ...others];
}

/** Parses a command in exec form. Other forms, which run in a shell, throw. */
export function execForm(text: string): readonly [string, ...string[]] {
  const [command, ...args]: string[] = JSON.parse(text);
  if (command === undefined) throw new Error("an empty command");
  return [command, ...args];
}

export function argumentsOf({ instructions }: Stage, name: string): readonly string[] {
  return instructions.filter((instruction) => instruction.name === name).map(({ text }) => text);
}
