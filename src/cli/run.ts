import type { Command } from "commander";
import { isClosedPipe } from "./broken-output.ts";
import { exitCodes, toldFailure } from "./failure.ts";
import { Output } from "./output/output.ts";
import { SecretInput } from "./credentials/secret-input.ts";

/** One run of a command. */
export interface Run<Options> {
  readonly options: Options;
  /** The arguments that are no options. */
  readonly operands: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly output: Output;
  readonly secrets: SecretInput;
}

/**
 * Has `command` do this. Whatever is thrown is told on standard error, and sets the exit status; then the process ends by
 * itself, once all that was written has been read.
 */
export function runs<Options>(command: Command, act: (run: Run<Options>) => Promise<void>): Command {
  return command.option("--json", "print JSON").action(async () => {
    const options = command.optsWithGlobals<Options & { readonly json?: true }>();
    const output = new Output(options.json === true);
    const { env: environment, stdin } = process;
    try {
      await act({ options, operands: command.args, environment, output, secrets: new SecretInput(stdin) });
    } catch (error) {
      const failure = toldFailure(error);
      output.failure(isClosedPipe(error) ? { ...failure, exitCode: exitCodes.closedPipe } : failure);
    }
  });
}
