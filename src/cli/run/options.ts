import { RevocationCauseSchema } from "../../../gen/session/v1/revocation_pb.ts";
import { usageFailure } from "../output/failure.ts";
import { enumValue, enumWords, millisecondsOf } from "../output/format.ts";

/** An option or argument. */
export interface OptionDetails {
  readonly help: string;
  readonly default?: string;
  readonly choices?: readonly string[];
  readonly required?: true;
}

/** The options and arguments of a command by their flags, such as `--member <id>`, `--dry-run`, `--no-follow` and `<id>`: the help, or more. */
export type OptionSpecs = Readonly<Record<string, string | OptionDetails>>;

/** The values that a command gets, by name: `--page-token <token>` is `pageToken`, `--no-follow` is `follow`. */
export type OptionValues<Specs extends OptionSpecs> = {
  readonly [Flags in keyof Specs & string as OptionName<Flags>]: OptionValue<Flags, Specs[Flags]>;
};

type OptionName<Flags extends string> = Flags extends `--no-${infer Name}`
  ? CamelCase<Name>
  : Flags extends `--${infer Name} <${string}>` | `--${infer Name}` | `<${infer Name}>` | `[${infer Name}]`
    ? CamelCase<Name>
    : never;

type CamelCase<Name extends string> = Name extends `${infer First}-${infer Rest}`
  ? `${First}${Capitalize<CamelCase<Rest>>}`
  : Name;

type OptionValue<Flags extends string, Spec> = Flags extends `--no-${string}`
  ? boolean
  : Flags extends `<${string}>`
    ? string
    : Flags extends `${string}<${string}>` | `[${string}]`
      ? Spec extends { readonly default: string } | { readonly required: true }
        ? string
        : string | undefined
      : true | undefined;

/** The option of the commands on a project's credentials and keys. */
export const projectOption = { "--project <id>": "the project; default: the calling project" };

/** The options of every command that revokes. */
export const revocationOptions = {
  "--cause <cause>": { help: "why", choices: enumWords(RevocationCauseSchema), default: "administration" },
  "--reason <text>": {
    help: "why, as text; kept with the sessions, and shown to who may read them",
    default: "",
  },
};

/** The fields of a request that say why. */
export function revocationDetails({ cause, reason }: OptionValues<typeof revocationOptions>) {
  return { cause: enumValue(RevocationCauseSchema, cause), reason };
}

/** Returns a function that reads a duration such as `12h` and gives it in proto JSON. The service checks its bounds. */
export function parseDuration(option: string): (text: string) => string {
  return (text) => {
    const [, count, unit] = /^(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)$/.exec(text) ?? [];
    const unitMs = unit === undefined ? undefined : millisecondsOf.get(unit);
    if (unitMs === undefined) throw usageFailure(`${option} must be a duration such as 30s, 5m, 12h or 90d`);
    return `${Math.round(Number(count) * unitMs) / 1000}s`;
  };
}

/** Splits the value of an option that takes a list. The service checks the entries. */
export function parseList(text: string): string[] {
  return text.split(",").map((entry) => entry.trim());
}
