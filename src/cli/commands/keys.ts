import type { Command } from "commander";
import {
  SignatureAlgorithmSchema,
  type SigningKey,
  SigningKeyStateSchema,
} from "../../../gen/session/v1/project_pb.ts";
import {
  ListSigningKeysResponseSchema,
  RevokeSigningKeyResponseSchema,
  RotateSigningKeyResponseSchema,
} from "../../../gen/session/v1/project_service_pb.ts";
import { enumWord, formatTime } from "../output/format.ts";
import { type Columns, pairs } from "../output/table.ts";
import { addServiceCommand, projectIdOf } from "../run/command.ts";
import { listOptions, printList } from "../run/list.ts";
import { projectOption, revocationDetails, revocationOptions } from "../run/options.ts";
import { confirmUnless, yesOption } from "../run/terminal.ts";

/** Adds `sessiond keys …`; each needs a credential with `projects.admin`. */
export function addKeysCommands(program: Command): void {
  const keys = program
    .command("keys")
    .description("signing keys: list, rotate, revoke (needs projects.admin)");

  addServiceCommand(keys, "list", {
    description: "list signing keys, newest first",
    options: { ...projectOption, ...listOptions },
    action: (run) =>
      printList(run, {
        response: ListSigningKeysResponseSchema,
        read: (page) => run.projects.listSigningKeys({ projectId: projectIdOf(run), ...page }),
        itemsOf: ({ signingKeys }) => signingKeys,
        columns,
      }),
  });

  addServiceCommand(keys, "rotate", {
    description: "publish a next key, which signs after the publication delay without another call",
    options: projectOption,
    action: async (run) => {
      const response = await run.projects.rotateSigningKey({ projectId: projectIdOf(run) });
      await run.output.message(RotateSigningKeyResponseSchema, response, toText(response.signingKey));
    },
  });

  const revoke = addServiceCommand(keys, "revoke", {
    description: "refuse a leaked key and every JWT that it signed; sessions stay valid",
    options: { "<kid>": "the key", ...projectOption, ...yesOption, ...revocationOptions },
    action: async (run) => {
      const { kid, yes, ...options } = run.options;
      const projectId = projectIdOf(run);
      await confirmUnless(
        yes,
        `Refuse every JWT that key ${kid} of project ${projectId} signed, permanently?`,
      );
      const request = { projectId, kid, ...revocationDetails(options) };
      const response = await run.projects.revokeSigningKey(request);
      await run.output.message(RevokeSigningKeyResponseSchema, response, toText(response.signingKey));
    },
  });
  // One key in 64 has an id that begins with "-", which must not be taken for an option, not even for -h.
  revoke.helpOption("--help", "print help").allowUnknownOption();
}

const columns: Columns<SigningKey> = {
  kid: ({ kid }) => kid,
  algorithm: ({ algorithm }) => enumWord(SignatureAlgorithmSchema, algorithm),
  state: ({ state }) => enumWord(SigningKeyStateSchema, state),
  created: ({ createTime }) => formatTime(createTime),
  "signs from": ({ activateTime }) => formatTime(activateTime),
  to: ({ retireTime }) => formatTime(retireTime),
  "published until": ({ unpublishTime }) => formatTime(unpublishTime),
  revoked: ({ revokeTime }) => formatTime(revokeTime),
};

function toText(key: SigningKey | undefined): string {
  if (key === undefined) return "";
  return pairs({
    key: key.kid,
    algorithm: enumWord(SignatureAlgorithmSchema, key.algorithm),
    state: enumWord(SigningKeyStateSchema, key.state),
    "signs from": formatTime(key.activateTime),
    revoked: key.revokeTime && formatTime(key.revokeTime),
  });
}
