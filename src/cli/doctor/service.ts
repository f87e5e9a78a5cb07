import { Code, ConnectError } from "@connectrpc/connect";
import { connectSessiond } from "../../client/client.ts";
import { errorInfoOf } from "../../client/error-info.ts";
import { callerVariableNames } from "../../server/config/variables.ts";
import { type ConnectionOptions, type Target, findTarget, howToTrust, isUntrusted } from "../connection.ts";
import { CommandFailure } from "../failure.ts";
import { inWords } from "../output/in-words.ts";
import type { Run } from "../run.ts";
import { type Finding, findingsOf } from "./finding.ts";

const { ok, warn, fail, skip } = findingsOf("service");

/** The id of no session. */
const noSession = "00000000-0000-0000-0000-000000000000";

/** Whether commands reach a service, and are let in. That one is to be there is certain only where somebody named it. */
export async function checkService({
  options,
  environment,
  secrets,
}: Pick<Run<ConnectionOptions>, "options" | "environment" | "secrets">): Promise<Finding> {
  let target: Target;
  try {
    target = await findTarget(options, environment, secrets);
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    const isAsked = [
      options.server,
      options.as,
      options.secretFile,
      ...callerVariableNames.map((name) => environment[name]),
    ].some((given) => given !== undefined && given !== "");
    const howTo = "`sessiond --help` says how a service and a credential are named";
    return isAsked ? fail(inWords(error), howTo) : skip(inWords(error));
  }
  const { baseUrl, credential, isGiven, timeout } = target;
  const sessiond = connectSessiond({ baseUrl, credential, defaultTimeoutMs: timeout });
  try {
    await sessiond.sessions.get({ id: noSession });
    return ok(`${baseUrl} takes the credential of project ${credential.projectId}`);
  } catch (error) {
    return judge(error, baseUrl, credential.projectId, isGiven);
  } finally {
    sessiond.close();
  }
}

function judge(error: unknown, baseUrl: string, projectId: string, isGiven: boolean): Finding {
  if (!(error instanceof ConnectError)) throw error;
  const reason = errorInfoOf(error)?.reason;
  if (error.code === Code.NotFound || reason === "PERMISSION_MISSING") {
    return ok(`${baseUrl} takes the credential of project ${projectId}`);
  }
  if (reason === "CREDENTIAL_INVALID") {
    return fail(
      `${baseUrl} refuses the credential of project ${projectId}`,
      "`sessiond credential list` shows which are good; `credential create` makes another",
    );
  }
  if (reason !== undefined) {
    return fail(`${baseUrl} answers ${reason}: ${error.rawMessage}`, "see its log, under the request's id");
  }
  if (isUntrusted(error)) {
    return fail(`the certificate of ${baseUrl} is not trusted (${error.rawMessage})`, howToTrust);
  }
  const start = "start it with `sessiond serve`, or name another by --server or SESSIOND_SERVER";
  const words = `no sessiond answers at ${baseUrl} (${error.rawMessage})`;
  return isGiven ? fail(words, start) : warn(words, start);
}
