import { type Command, InvalidArgumentError, Option } from "commander";
import type { Sessiond } from "../../client/client.ts";
import { Output } from "../output/output.ts";
import type { OptionDetails, OptionSpecs, OptionValues, projectOption } from "./options.ts";
import { SecretInput } from "./secret-input.ts";
import { withService } from "./service.ts";
import { type ConnectionOptions, type ServiceTarget, connectionOptions } from "./target.ts";

/** One run of a command. */
export interface Run<Options> {
  /** The values of options and arguments. */
  readonly options: Options;
  readonly environment: NodeJS.ProcessEnv;
  readonly output: Output;
  readonly secrets: SecretInput;
}

/** One run of a command that calls the service. */
export interface ServiceRun<Options> extends Run<Options>, Pick<Sessiond, "sessions" | "projects"> {
  readonly target: ServiceTarget;
}

/** The project that a command works on. */
export function projectIdOf({ options, target }: ServiceRun<OptionValues<typeof projectOption>>): string {
  return options.project ?? target.credential.projectId;
}

/** The definition of a command. Options have the order of `--help`. */
interface CommandSpec<Specs extends OptionSpecs, ActionRun> {
  readonly description: string;
  readonly options: Specs;
  /** Text below the options in `--help`. */
  readonly help?: string;
  readonly action: (run: ActionRun) => Promise<void>;
}

/** Adds a command with `--json`. An error of its action is reported and sets the exit status. */
export function addCommand<const Specs extends OptionSpecs>(
  parent: Command,
  name: string,
  { description, options, help = "", action }: CommandSpec<Specs, Run<OptionValues<Specs>>>,
): Command {
  const command = parent.command(name).description(description).addHelpText("after", help);
  for (const [flags, spec] of Object.entries<string | OptionDetails>(options)) {
    addOption(command, flags, typeof spec === "string" ? { help: spec } : spec);
  }
  return command.option("--json", "print JSON").action(async () => {
    const options = command.optsWithGlobals<OptionValues<Specs> & { readonly json?: true }>();
    for (const [i, argument] of command.registeredArguments.entries()) {
      Object.assign(options, { [argument.name()]: command.args[i] });
    }
    const output = new Output(options.json === true);
    try {
      await action({ options, environment: process.env, output, secrets: new SecretInput() });
    } catch (error) {
      output.failure(error);
    }
  });
}

function addOption(command: Command, flags: string, details: OptionDetails): void {
  const { help, default: value, choices, required = false } = details;
  if (!flags.startsWith("--")) {
    command.argument(flags, help);
    return;
  }
  const option = new Option(flags, help).default(value).makeOptionMandatory(required);
  if (choices !== undefined) option.choices(choices);
  // An option whose default is empty may be given empty. For any other, an unset variable of the shell is a likely cause.
  else if (value !== "" && flags.includes("<")) option.argParser(requireText(option));
  command.addOption(option);
}

function requireText(option: Option): (text: string) => string {
  return (text) => {
    if (text === "") throw new InvalidArgumentError(`${option.long} must not be empty.`);
    return text;
  };
}

/** Adds a command that calls the service, with the options of the connection. */
export function addServiceCommand<const Specs extends OptionSpecs>(
  parent: Command,
  name: string,
  { options, action, ...spec }: CommandSpec<Specs, ServiceRun<OptionValues<Specs>>>,
): Command {
  return addCommand<OptionSpecs>(parent, name, {
    ...spec,
    options: { ...options, ...connectionOptions },
    action: (run) => {
      // Both sets of options were added above.
      const { options } = run as Run<OptionValues<Specs> & ConnectionOptions>;
      return withService({ ...run, options }, ({ sessions, projects }, target) =>
        action({ ...run, options, sessions, projects, target }),
      );
    },
  });
}
