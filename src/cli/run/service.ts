import { Code, ConnectError } from "@connectrpc/connect";
import { type Sessiond, connectSessiond } from "../../client/client.ts";
import { errorInfoOf } from "../../client/error-info.ts";
import { CommandFailure, exitCodes } from "../output/failure.ts";
import { type ConnectionInput, type ServiceTarget, findTarget } from "./target.ts";

/** Runs `use` with a client of the service, which is closed afterwards. */
export async function withService<T>(
  input: ConnectionInput,
  use: (sessiond: Sessiond, target: ServiceTarget) => Promise<T>,
): Promise<T> {
  const target = await findTarget(input);
  const { baseUrl, credential, timeoutMs } = target;
  const sessiond = connectSessiond({ baseUrl, credential, defaultTimeoutMs: timeoutMs });
  try {
    return await use(sessiond, target);
  } catch (error) {
    throw explainCallError(error, target);
  } finally {
    sessiond.close();
  }
}

/** Adds the service's address and advice to an error that did not come from the service. Returns any other error unchanged. */
export function explainCallError(
  error: unknown,
  { baseUrl, timeoutMs }: Pick<ServiceTarget, "baseUrl" | "timeoutMs">,
): unknown {
  if (!(error instanceof ConnectError) || errorInfoOf(error) !== undefined) return error;
  if (error.code === Code.DeadlineExceeded) {
    return new CommandFailure(
      `${baseUrl} did not answer within ${timeoutMs / 1000} s; whether the call took effect is unknown`,
      { exitCode: exitCodes.unavailable, cause: error },
    );
  }
  if (isUntrusted(error)) {
    return new CommandFailure(
      `the certificate of ${baseUrl} is not trusted (${error.rawMessage}): ${howToTrust}`,
      { cause: error },
    );
  }
  // A TLS port cancels calls without TLS, or resets their connection.
  const isUnreachable =
    error.code === Code.Unavailable ||
    error.code === Code.Canceled ||
    connectionErrorCode(error) !== undefined;
  if (!isUnreachable) return error;
  return new CommandFailure(
    `${baseUrl} cannot be reached (${error.rawMessage.trim()}): is sessiond running there, with TLS as the URL says? ` +
      "Set another address by --server or SESSIOND_SERVER",
    { exitCode: exitCodes.unavailable, cause: error },
  );
}

export const howToTrust = "set NODE_EXTRA_CA_CERTS to a file with the certificate of its authority";

/** Whether a call failed because the service's certificate is not trusted, or is for another name. */
export function isUntrusted(error: ConnectError): boolean {
  return /CERT|UNABLE_TO_VERIFY/.test(connectionErrorCode(error) ?? "");
}

/** Node's code of the connection error that made a call fail, such as ECONNREFUSED. */
function connectionErrorCode({ cause }: ConnectError): string | undefined {
  return cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : undefined;
}
