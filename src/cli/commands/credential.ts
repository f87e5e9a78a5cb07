import type { Command } from "commander";
import type { ServiceCredential } from "../../../gen/session/v1/project_pb.ts";
import {
  DisableServiceCredentialResponseSchema,
  ListServiceCredentialsResponseSchema,
} from "../../../gen/session/v1/project_service_pb.ts";
import { CommandFailure, exitCodes } from "../output/failure.ts";
import { formatTime } from "../output/format.ts";
import { pairs } from "../output/table.ts";
import { type ServiceRun, addServiceCommand, projectIdOf } from "../run/command.ts";
import { listOptions, printList } from "../run/list.ts";
import { type OptionValues, parseList, projectOption } from "../run/options.ts";
import { callFailure } from "../run/service.ts";
import { confirmUnless, yesOption } from "../run/terminal.ts";
import {
  permissionWord,
  permissionWords,
  readPermissions,
  secretOutOption,
  withNewCredential,
} from "./new-credential.ts";

/** Adds `sessiond credential …`; each needs a credential with `projects.admin`. */
export function addCredentialCommands(program: Command): void {
  const credential = program
    .command("credential")
    .description("credentials of services: create, list, rotate, disable (needs projects.admin)");

  addServiceCommand(credential, "create", {
    description: "create a credential; its secret is shown once",
    options: {
      ...secretOutOption,
      "--permissions <list>": {
        help: `what it may do, separated by commas: any of ${permissionWords.join(", ")}`,
        required: true,
      },
      "--display-name <name>": { help: "a name for people", default: "" },
      "--certificate-names <list>":
        "SPIFFE IDs and DNS names, separated by commas, of client certificates that are as good as the secret",
      ...projectOption,
    },
    action: async (run) => {
      const { permissions, displayName, certificateNames, secretOut } = run.options;
      const request = {
        projectId: projectIdOf(run),
        displayName,
        permissions: readPermissions(permissions),
        certificateNames: certificateNames === undefined ? [] : parseList(certificateNames),
      };
      await withNewCredential(run, secretOut, async (create) => void (await create(request)));
    },
  });

  addServiceCommand(credential, "list", {
    description: "list credentials, newest first; no secret is shown",
    options: { ...projectOption, ...listOptions },
    action: (run) =>
      printList(run, {
        response: ListServiceCredentialsResponseSchema,
        read: (page) => run.projects.listServiceCredentials({ projectId: projectIdOf(run), ...page }),
        itemsOf: ({ credentials }) => credentials,
        columns: {
          id: ({ id }) => id,
          name: ({ displayName }) => displayName,
          permissions: ({ permissions }) => permissions.map(permissionWord).join(","),
          certificates: ({ certificateNames }) => certificateNames.join(","),
          created: ({ createTime }) => formatTime(createTime),
          disabled: ({ disableTime }) => formatTime(disableTime),
        },
      }),
  });

  addServiceCommand(credential, "rotate", {
    description: "replace a credential: create one with the same permissions, then disable the old one",
    options: rotateOptions,
    action: rotateCredential,
  });

  addServiceCommand(credential, "disable", {
    description: "refuse a credential from now on, permanently",
    options: { "<id>": "the credential", ...projectOption, ...yesOption },
    action: async (run) => {
      const { id, yes } = run.options;
      await confirmUnless(yes, `Refuse credential ${id} of project ${projectIdOf(run)}, permanently?`);
      const response = await run.projects.disableServiceCredential({ projectId: projectIdOf(run), id });
      const text = pairs({ credential: id, disabled: formatTime(response.credential?.disableTime) });
      await run.output.message(DisableServiceCredentialResponseSchema, response, text);
    },
  });
}

const rotateOptions = {
  "<id>": "the credential to replace",
  "--keep-old": "leave the old one enabled, to disable it when every service has the new one",
  ...secretOutOption,
  ...projectOption,
};

type RotateRun = ServiceRun<OptionValues<typeof rotateOptions>>;

/**
 * Disables the old credential only when the new secret is on disk, or was taken by the reader of standard output. If it is
 * interrupted before that, both are enabled, and `credential disable` disables one.
 */
async function rotateCredential(run: RotateRun): Promise<void> {
  const { options, output, projects, target } = run;
  const { id } = options;
  const projectId = projectIdOf(run);
  const disable = `\`sessiond credential disable ${id} --project ${projectId}\``;
  await withNewCredential(run, options.secretOut, async (create) => {
    const { displayName, permissions, certificateNames } = await enabledCredential(run);
    if (certificateNames.length > 0) {
      // Disabling the old one would take the names away.
      throw new CommandFailure(
        `credential ${id} has the names of client certificates (${certificateNames.join(", ")}), and a name belongs to one ` +
          `enabled credential: run ${disable}, then \`sessiond credential create --certificate-names …\``,
      );
    }
    const more = { json: { replacedId: id }, lines: { replaces: id } };
    const created = await create({ projectId, displayName, permissions }, more);
    if (options.keepOld === true) {
      return output.note(`credential ${id} is still enabled: disable it by ${disable}`);
    }
    await projects.disableServiceCredential({ projectId, id }).catch((error: unknown) => {
      const state = `credential ${created.id} is enabled, and ${id} may still be too`;
      throw callFailure(error, target, { state, howToContinue: `disable it by ${disable}` });
    });
    return output.note(`credential ${id} is disabled`);
  });
}

async function enabledCredential(run: RotateRun): Promise<ServiceCredential> {
  const { id } = run.options;
  const projectId = projectIdOf(run);
  let pageToken = "";
  do {
    const page = await run.projects.listServiceCredentials({ projectId, pageSize: 1000, pageToken });
    const found = page.credentials.find((credential) => credential.id === id);
    if (found?.disableTime !== undefined) {
      throw new CommandFailure(
        `credential ${id} is disabled: create a new one by \`sessiond credential create\``,
      );
    }
    if (found !== undefined) return found;
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  throw new CommandFailure(`project ${projectId} has no credential ${id}`, { exitCode: exitCodes.notFound });
}
