import { Code, ConnectError } from "@connectrpc/connect";
import { connectSessiond } from "../../client/client.ts";
import { errorInfoOf } from "../../client/error-info.ts";
import { callerVariableNames } from "../../server/config/variables.ts";
import { howToTrust, isUntrusted } from "../run/service.ts";
import { type ConnectionInput, type ServiceTarget, findTarget } from "../run/target.ts";
import { CommandFailure, errorText } from "../output/failure.ts";
import { type Finding, findingsOf } from "./finding.ts";

const { ok, warn, fail, skip } = findingsOf("service");

/** No session has this id. */
const noSession = "00000000-0000-0000-0000-000000000000";

/** Whether commands can call the service. A service that was not named may be missing: that is a warning only. */
export async function checkService(input: ConnectionInput): Promise<Finding> {
  let target: ServiceTarget;
  try {
    target = await findTarget(input);
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    const { server, as, secretFile } = input.options;
    const given = [server, as, secretFile, ...callerVariableNames.map((name) => input.environment[name])];
    return given.some((value) => value !== undefined && value !== "")
      ? fail(errorText(error), "see `sessiond --help` for how to set the service and the credential")
      : skip(errorText(error));
  }
  const { baseUrl, credential, timeoutMs } = target;
  const sessiond = connectSessiond({ baseUrl, credential, defaultTimeoutMs: timeoutMs });
  try {
    await sessiond.sessions.get({ id: noSession });
    return accepted(target);
  } catch (error) {
    return findingOf(error, target);
  } finally {
    sessiond.close();
  }
}

function accepted({ baseUrl, credential }: ServiceTarget): Finding {
  return ok(`${baseUrl} accepts the credential of project ${credential.projectId}`);
}

function findingOf(error: unknown, target: ServiceTarget): Finding {
  if (!(error instanceof ConnectError)) throw error;
  const { baseUrl, credential, isGiven } = target;
  const reason = errorInfoOf(error)?.reason;
  if (error.code === Code.NotFound || reason === "PERMISSION_MISSING") return accepted(target);
  if (reason === "CREDENTIAL_INVALID") {
    return fail(
      `${baseUrl} refuses the credential of project ${credential.projectId}`,
      "`sessiond credential list` shows the enabled ones; `credential create` creates another",
    );
  }
  if (reason !== undefined) {
    return fail(`${baseUrl} answers ${reason}: ${error.rawMessage}`, "see its log, under the request's id");
  }
  if (isUntrusted(error)) {
    return fail(`the certificate of ${baseUrl} is not trusted (${error.rawMessage})`, howToTrust);
  }
  const start = "start it with `sessiond serve`, or set another address by --server or SESSIOND_SERVER";
  const message = `no sessiond answers at ${baseUrl} (${error.rawMessage})`;
  return isGiven ? fail(message, start) : warn(message, start);
}
