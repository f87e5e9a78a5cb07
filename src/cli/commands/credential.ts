import { create as createMessage } from "@bufbuild/protobuf";
import type { Command } from "commander";
import type { ServiceCredential } from "../../../gen/session/v1/project_pb.ts";
import {
  DisableServiceCredentialResponseSchema,
  ListServiceCredentialsResponseSchema,
} from "../../../gen/session/v1/project_service_pb.ts";
import type { Sessiond } from "../../client/client.ts";
import { type ConnectionOptions, calling, withAddress, withConnection } from "../connection.ts";
import { CommandFailure, exitCodes, toldFailure } from "../failure.ts";
import { messageJson } from "../output/message-json.ts";
import {
  type SecretOutOptions,
  makingCredential,
  printCredential,
  withSecretOut,
} from "../credentials/new-credential.ts";
import { type PageOptions, more, readPages, withPages } from "../options/pages.ts";
import { readList, servicePermissions } from "../credentials/permissions.ts";
import { type ProjectOptions, withProject } from "../options/project-option.ts";
import { type Run, runs } from "../run.ts";
import { pairs, table } from "../output/table.ts";
import { timeOf } from "../output/enum-format.ts";

/** Adds `sessiond credential …`; each needs a credential with `projects.admin`. */
export function addCredentialCommands(program: Command): void {
  const credential = program
    .command("credential")
    .description("credentials of services: create, list, rotate, disable (needs projects.admin)");

  const create = withSecretOut(
    credential.command("create").description("create a credential; its secret is shown once"),
  )
    .requiredOption(
      "--permissions <list>",
      `what it may do, separated by commas: any of ${[...servicePermissions, "projects.admin"].join(", ")}`,
    )
    .option("--display-name <name>", "a name for people", "")
    .option(
      "--certificate-names <list>",
      "SPIFFE IDs and DNS names, separated by commas, of client certificates that are as good as the secret",
    );
  runs(withConnection(withProject(create)), createCredential);

  const list = credential.command("list").description("list credentials, newest first; no secret is shown");
  runs(withConnection(withPages(withProject(list))), listCredentials);

  const rotate = withSecretOut(
    credential
      .command("rotate")
      .description("replace a credential: create one that may do the same, then disable the old one")
      .argument("<id>", "the credential to replace")
      .option("--keep-old", "leave the old one good, to be disabled once every service has the new one"),
  );
  runs(withConnection(withProject(rotate)), rotateCredential);

  const disable = credential
    .command("disable")
    .description("refuse a credential from now on")
    .argument("<id>", "the credential");
  runs(withConnection(withProject(disable)), disableCredential);
}

type CreateOptions = ConnectionOptions &
  ProjectOptions &
  SecretOutOptions & {
    readonly permissions: string;
    readonly displayName: string;
    readonly certificateNames?: string;
  };

async function createCredential(run: Run<CreateOptions>): Promise<void> {
  const { options, output } = run;
  const { displayName } = options;
  const permissions = readList(options.permissions);
  const certificateNames = options.certificateNames === undefined ? [] : readList(options.certificateNames);
  await makingCredential(options, (make) =>
    calling(run, async (sessiond, { credential }) => {
      const projectId = options.project ?? credential.projectId;
      await printCredential(
        output,
        await make(sessiond, { projectId, displayName, permissions, certificateNames }),
      );
    }),
  );
}

async function listCredentials(run: Run<ConnectionOptions & PageOptions & ProjectOptions>): Promise<void> {
  const { options, output } = run;
  const { items: credentials, nextPageToken } = await calling(run, (sessiond, { credential }) =>
    readPages(options, credentialPages(sessiond, options.project ?? credential.projectId)),
  );
  const rows = credentials.map((credential) => [
    credential.id,
    credential.displayName,
    credential.permissions.join(","),
    credential.certificateNames.join(","),
    timeOf(credential.createTime),
    timeOf(credential.disableTime),
  ]);
  const message = createMessage(ListServiceCredentialsResponseSchema, { credentials, nextPageToken });
  await output.result(
    messageJson(ListServiceCredentialsResponseSchema, message),
    table(["id", "name", "permissions", "certificates", "created", "disabled"], rows) + more(nextPageToken),
  );
}

/**
 * The old credential is disabled only once the new secret is written down: on the disk, or taken by who reads standard output.
 * Where it is interrupted before that, both are good, and `credential disable` ends the one that is not wanted.
 */
async function rotateCredential(
  run: Run<ConnectionOptions & ProjectOptions & SecretOutOptions & { readonly keepOld?: true }>,
): Promise<void> {
  const { options, operands, output } = run;
  const [id = ""] = operands;
  await makingCredential(options, (make) =>
    calling(run, async (sessiond, target) => {
      const projectId = options.project ?? target.credential.projectId;
      const { displayName, permissions, certificateNames } = await enabledCredential(sessiond, projectId, id);
      if (certificateNames.length > 0) throw certificatesAreBound(projectId, id, certificateNames);
      const made = await make(sessiond, { projectId, displayName, permissions });
      await printCredential(output, made, { json: { replacedId: id }, lines: [["replaces", id]] });
      const disable = `\`sessiond credential disable ${id} --project ${projectId}\``;
      if (options.keepOld === true) return output.note(`credential ${id} is still good: ${disable} ends it`);
      await sessiond.projects.disableServiceCredential({ projectId, id }).catch((error: unknown) => {
        const { message, exitCode } = toldFailure(withAddress(error, target));
        throw new CommandFailure(
          `credential ${made.credential.id} is good, and ${id} may still be too (${message}): ${disable} ends it`,
          exitCode,
          error,
        );
      });
      return output.note(`credential ${id} is disabled`);
    }),
  );
}

/** Both cannot have the names at once, so that its certificates would be refused without a word once the old one is disabled. */
function certificatesAreBound(projectId: string, id: string, names: readonly string[]): CommandFailure {
  return new CommandFailure(
    `credential ${id} is also good by client certificates (${names.join(", ")}), whose names only one enabled credential can have: ` +
      `\`sessiond credential disable ${id} --project ${projectId}\`, then \`sessiond credential create --certificate-names …\``,
  );
}

async function disableCredential(run: Run<ConnectionOptions & ProjectOptions>): Promise<void> {
  const { options, operands, output } = run;
  const [id = ""] = operands;
  const answer = await calling(run, ({ projects }, { credential }) =>
    projects.disableServiceCredential({ projectId: options.project ?? credential.projectId, id }),
  );
  await output.result(
    messageJson(DisableServiceCredentialResponseSchema, answer),
    pairs([
      ["credential", id],
      ["disabled", timeOf(answer.credential?.disableTime)],
    ]),
  );
}

async function enabledCredential(
  sessiond: Sessiond,
  projectId: string,
  id: string,
): Promise<ServiceCredential> {
  const read = credentialPages(sessiond, projectId);
  for (let pageToken = ""; ;) {
    const { items, nextPageToken } = await read({ pageSize: 1000, pageToken });
    const found = items.find((credential) => credential.id === id);
    if (found?.disableTime !== undefined) {
      throw new CommandFailure(
        `credential ${id} is disabled: a new one is made by \`sessiond credential create\``,
      );
    }
    if (found !== undefined) return found;
    if (nextPageToken === "") {
      throw new CommandFailure(`project ${projectId} has no credential ${id}`, exitCodes.notFound);
    }
    pageToken = nextPageToken;
  }
}

function credentialPages({ projects }: Sessiond, projectId: string) {
  return async (page: { pageSize: number; pageToken: string }) => {
    const { credentials, nextPageToken } = await projects.listServiceCredentials({ projectId, ...page });
    return { items: credentials, nextPageToken };
  };
}
