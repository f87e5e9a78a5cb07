import { Code, ConnectError } from "@connectrpc/connect";
import { type Sessiond, connectSessiond } from "../../client/client.ts";
import { errorInfoOf } from "../../client/error-info.ts";
import { CommandFailure, describeError, exitCodes } from "../output/failure.ts";
import { type ConnectionInput, type ServiceTarget, findTarget } from "./target.ts";

/** Runs `use` with a client of the service, which is closed afterwards. */
export async function withService<T>(
  input: ConnectionInput,
  use: (sessiond: Sessiond, target: ServiceTarget) => Promise<T>,
): Promise<T> {
  const target = await findTarget(input);
  const { baseUrl, credential, actingUser, timeoutMs } = target;
  const sessiond = connectSessiond({ baseUrl, credential, actingUser, defaultTimeoutMs: timeoutMs });
  try {
    return await use(sessiond, target);
  } catch (error) {
    throw explainCallError(error, target);
  } finally {
    sessiond.close();
  }
}

/** A failed call between others, with the state that they left and how to continue. The exit status is that of the call. */
export function callFailure(
  error: unknown,
  target: ServiceTarget,
  { state, howToContinue }: { readonly state: string; readonly howToContinue: string },
): CommandFailure {
  const { message, exitCode } = describeError(explainCallError(error, target));
  return new CommandFailure(`${state} (${message}): ${howToContinue}`, { exitCode, cause: error });
}

/** Adds the service's address and advice to an error that did not come from the service. Returns any other error unchanged. */
function explainCallError(error: unknown, { baseUrl, timeoutMs }: ServiceTarget): unknown {
  if (!(error instanceof ConnectError) || errorInfoOf(error) !== undefined) return error;
  if (error.code === Code.DeadlineExceeded) {
    return new CommandFailure(
      `${baseUrl} did not answer within ${timeoutMs / 1000} s; whether the call took effect is unknown`,
      { exitCode: exitCodes.unavailable, cause: error },
    );
  }
  const connectionError = connectionErrorCode(error);
  if (/CERT|UNABLE_TO_VERIFY/.test(connectionError ?? "")) {
    return new CommandFailure(
      `the certificate of ${baseUrl} is not trusted (${error.rawMessage}): ` +
        "set NODE_EXTRA_CA_CERTS to a file with the certificate of its authority",
      { cause: error },
    );
  }
  // A TLS port cancels calls without TLS, or resets their connection.
  const unreachable = connectionError !== undefined || [Code.Unavailable, Code.Canceled].includes(error.code);
  if (!unreachable) return error;
  return new CommandFailure(
    `${baseUrl} cannot be reached (${error.rawMessage.trim()}): is sessiond running there, with TLS as the URL says? ` +
      "Set another address by --server or SESSIOND_SERVER",
    { exitCode: exitCodes.unavailable, cause: error },
  );
}

/** Node's code of the connection error that made a call fail, such as ECONNREFUSED. */
function connectionErrorCode({ cause }: ConnectError): string | undefined {
  return cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : undefined;
}
