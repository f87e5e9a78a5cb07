import { ConnectError } from "@connectrpc/connect";
import { errorInfoOf } from "../../client/error-info.ts";
import { givenVariables } from "../../server/config/environment.ts";
import { callerVariableNames } from "../../server/config/variables.ts";
import { CommandFailure, describeError, errorText } from "../output/failure.ts";
import { withService } from "../run/service.ts";
import type { ConnectionInput } from "../run/target.ts";
import { type Finding, findingsOf } from "./finding.ts";

const { ok, warn, fail, skip } = findingsOf("service");

/** No session has this id. */
const noSession = "00000000-0000-0000-0000-000000000000";

/** Whether commands can call the service. A service that was not named may be missing: that is a warning only. */
export async function checkService(input: ConnectionInput): Promise<Finding> {
  const { options } = input;
  const environment = givenVariables(input.environment);
  try {
    return await callService(input);
  } catch (error) {
    const cause = error instanceof CommandFailure ? error.cause : error;
    if (cause instanceof ConnectError) {
      const message = `no sessiond answers: ${describeError(error).message}`;
      const start = "start it with `sessiond serve`, or set its address by --server or SESSIOND_SERVER";
      return (options.server ?? environment["SESSIOND_SERVER"]) ? fail(message, start) : warn(message, start);
    }
    if (!(error instanceof CommandFailure)) throw error;
    const variables = callerVariableNames.map((name) => environment[name]);
    return [options.server, options.as, options.secretFile, ...variables].some(Boolean)
      ? fail(errorText(error), "see `sessiond --help` for how to set the service and the credential")
      : skip(errorText(error));
  }
}

function callService(input: ConnectionInput): Promise<Finding> {
  return withService(input, async ({ sessions }, { baseUrl, credential: { projectId } }) => {
    try {
      await sessions.get({ id: noSession });
    } catch (error) {
      const reason = errorInfoOf(error)?.reason;
      if (reason === undefined) throw error;
      if (reason === "CREDENTIAL_INVALID") {
        return fail(
          `${baseUrl} refuses the credential of project ${projectId}`,
          "`sessiond credential list` shows the enabled ones; `credential create` creates another",
        );
      }
      if (!["SESSION_NOT_FOUND", "PERMISSION_MISSING"].includes(reason)) {
        const { message } = describeError(error);
        return fail(`${baseUrl} answers ${reason}: ${message}`, "see its log, under the request's id");
      }
    }
    return ok(`${baseUrl} accepts the credential of project ${projectId}`);
  });
}
