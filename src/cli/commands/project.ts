import { create as createMessage } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import type { Command } from "commander";
import { EnvironmentSchema, ProjectSchema } from "../../../gen/session/v1/project_pb.ts";
import {
  DisableProjectResponseSchema,
  ListProjectsResponseSchema,
} from "../../../gen/session/v1/project_service_pb.ts";
import { enumValue, enumWord, enumWords, formatTime } from "../output/format.ts";
import { messageJson } from "../output/output.ts";
import { pairs } from "../output/table.ts";
import { type ServiceRun, addServiceCommand } from "../run/command.ts";
import { listOptions, printList } from "../run/list.ts";
import { type OptionValues, revocationDetails, revocationOptions } from "../run/options.ts";
import { callFailure } from "../run/service.ts";
import { confirmUnless, yesOption } from "../run/terminal.ts";
import { addProjectUpdate } from "./project-update.ts";
import { readPermissions, secretOutOption, servicePermissions, withNewCredential } from "./new-credential.ts";

/** Adds `sessiond project …`; each needs a credential with `projects.admin`. */
export function addProjectCommands(program: Command): void {
  const project = program
    .command("project")
    .description("projects: create, list, show, update, disable (needs projects.admin)");

  addServiceCommand(project, "create", {
    description: "create a project and its first credential",
    options: createOptions,
    action: createProject,
  });

  addServiceCommand(project, "list", {
    description: "list projects by id",
    options: listOptions,
    action: (run) =>
      printList(run, {
        response: ListProjectsResponseSchema,
        read: (page) => run.projects.listProjects(page),
        itemsOf: ({ projects }) => projects,
        columns: {
          id: ({ id }) => id,
          name: ({ displayName }) => displayName,
          environment: ({ environment }) => enumWord(EnvironmentSchema, environment),
          created: ({ createTime }) => formatTime(createTime),
          disabled: ({ disableTime }) => formatTime(disableTime),
        },
      }),
  });

  addProjectUpdate(project);

  addServiceCommand(project, "disable", {
    description: "refuse a project's credentials, tokens and JWTs from now on, permanently",
    options: { "<id>": "the project", ...yesOption, ...revocationOptions },
    action: async ({ options: { id, yes, ...options }, output, projects }) => {
      await confirmUnless(yes, `Refuse every credential, token and JWT of project ${id}, permanently?`);
      const response = await projects.disableProject({ id, ...revocationDetails(options) });
      const text = pairs({ project: id, disabled: formatTime(response.project?.disableTime) });
      await output.message(DisableProjectResponseSchema, response, text);
    },
  });
}

const createOptions = {
  "<id>": "letters, digits, '.', '_', '-'; up to 64 characters",
  ...secretOutOption,
  "--display-name <name>": { help: "a name for people", default: "" },
  "--environment <environment>": {
    help: "what it is for",
    choices: enumWords(EnvironmentSchema),
    default: "test",
  },
  "--permissions <list>": { help: "of its first credential", default: servicePermissions.join(",") },
  "--no-credential": "create no credential",
};

/** Makes two calls. If it is interrupted between them, the project has no credential, and `credential create` makes one. */
async function createProject(run: ServiceRun<OptionValues<typeof createOptions>>): Promise<void> {
  const { options, output, projects, target } = run;
  const { id, displayName } = options;
  const environment = enumValue(EnvironmentSchema, options.environment);
  const permissions = readPermissions(options.permissions);
  const secretOut = options.credential ? options.secretOut : undefined;
  await withNewCredential(run, secretOut, async (createCredential) => {
    const { project } = await projects.createProject({ id, displayName, environment });
    const json = { project: messageJson(ProjectSchema, project ?? createMessage(ProjectSchema)) };
    if (!options.credential) return output.result(json, pairs({ project: id }));
    const request = { projectId: id, displayName, permissions };
    await createCredential(request, { json }).catch((error: unknown) => {
      if (!(error instanceof ConnectError)) throw error;
      const create = `sessiond credential create --project ${id} --permissions ${options.permissions}`;
      const state = `project ${id} was created, but not its credential`;
      throw callFailure(error, target, { state, howToContinue: `continue with \`${create}\`` });
    });
  });
}
