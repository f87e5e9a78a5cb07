import { type Command, Option } from "commander";
import { EnvironmentSchema, ProjectSchema } from "../../../gen/session/v1/project_pb.ts";
import {
  DisableProjectResponseSchema,
  ListProjectsResponseSchema,
} from "../../../gen/session/v1/project_service_pb.ts";
import { create as createMessage } from "@bufbuild/protobuf";
import { type ConnectionOptions, calling, withAddress, withConnection } from "../connection.ts";
import { confirm, isInteractive } from "../options/confirm.ts";
import { CommandFailure, toldFailure } from "../failure.ts";
import { messageJson } from "../output/message-json.ts";
import {
  type SecretOutOptions,
  makingCredential,
  printCredential,
  withSecretOut,
} from "../credentials/new-credential.ts";
import { type PageOptions, more, readPages, withPages } from "../options/pages.ts";
import { readList, servicePermissions } from "../credentials/permissions.ts";
import { type Run, runs } from "../run.ts";
import { pairs, table } from "../output/table.ts";
import { timeOf, valueOf, wordOf, wordsOf } from "../output/enum-format.ts";

/** Adds `sessiond project …`; each needs a credential with `projects.admin`. */
export function addProjectCommands(program: Command): void {
  const project = program
    .command("project")
    .description("projects: create, list, disable (needs projects.admin)");

  const create = withConnection(
    withSecretOut(project.command("create").description("create a project and its first credential"))
      .argument("<id>", "letters, digits, '.', '_', '-'; up to 64 characters")
      .option("--display-name <name>", "a name for people", "")
      .addOption(
        new Option("--environment <environment>", "what it is for")
          .choices(wordsOf(EnvironmentSchema))
          .default("test"),
      )
      .option("--permissions <list>", "of its first credential", servicePermissions.join(","))
      .option("--no-credential", "create no credential"),
  );
  runs(create, createProject);

  runs(withConnection(withPages(project.command("list").description("list projects by id"))), listProjects);

  const disable = withConnection(
    project
      .command("disable")
      .description("refuse a project's credentials, tokens and JWTs from now on, for good")
      .argument("<id>", "the project")
      .option("--yes", "do not ask"),
  );
  runs(disable, disableProject);
}

interface CreateOptions extends ConnectionOptions, SecretOutOptions {
  readonly displayName: string;
  readonly environment: string;
  readonly permissions: string;
  readonly credential: boolean;
}

/**
 * Two calls. Where it is interrupted between them, the project is there and has no credential: `credential create` makes one.
 */
async function createProject(run: Run<CreateOptions>): Promise<void> {
  const { options, operands, output } = run;
  const [id = ""] = operands;
  const { displayName, credential: withCredential } = options;
  const environment = valueOf(EnvironmentSchema, options.environment);
  await makingCredential(withCredential ? options : {}, (make) =>
    calling(run, async (sessiond, target) => {
      const { project } = await sessiond.projects.createProject({ id, displayName, environment });
      const json = messageJson(ProjectSchema, project ?? createMessage(ProjectSchema));
      if (!withCredential) return output.result({ project: json }, pairs([["project", id]]));
      const request = { projectId: id, displayName, permissions: readList(options.permissions) };
      const made = await make(sessiond, request).catch((error: unknown) => {
        if (error instanceof CommandFailure) throw error;
        const { message, exitCode } = toldFailure(withAddress(error, target));
        throw new CommandFailure(
          `project ${id} was created, but not its credential (${message}): go on with ` +
            `\`sessiond credential create --project ${id} --permissions ${options.permissions}\``,
          exitCode,
          error,
        );
      });
      return printCredential(output, made, { json: { project: json } });
    }),
  );
}

async function listProjects(run: Run<ConnectionOptions & PageOptions>): Promise<void> {
  const { options, output } = run;
  const { items: projects, nextPageToken } = await calling(run, ({ projects }) =>
    readPages(options, async (page) => {
      const answer = await projects.listProjects(page);
      return { items: answer.projects, nextPageToken: answer.nextPageToken };
    }),
  );
  const rows = projects.map(({ id, displayName, environment, createTime, disableTime }) => [
    id,
    displayName,
    wordOf(EnvironmentSchema, environment),
    timeOf(createTime),
    timeOf(disableTime),
  ]);
  const message = createMessage(ListProjectsResponseSchema, { projects, nextPageToken });
  await output.result(
    messageJson(ListProjectsResponseSchema, message),
    table(["id", "name", "environment", "created", "disabled"], rows) + more(nextPageToken),
  );
}

async function disableProject(run: Run<ConnectionOptions & { readonly yes?: true }>): Promise<void> {
  const { options, operands, output } = run;
  const [id = ""] = operands;
  if (options.yes !== true && isInteractive()) {
    await confirm(`Refuse every credential, token and JWT of project ${id}, for good?`);
  }
  const answer = await calling(run, ({ projects }) => projects.disableProject({ id }));
  await output.result(
    messageJson(DisableProjectResponseSchema, answer),
    pairs([
      ["project", id],
      ["disabled", timeOf(answer.project?.disableTime)],
    ]),
  );
}
