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
import { type ConnectionOptions, calling, withConnection } from "../connection.ts";
import { messageJson } from "../output/message-json.ts";
import { type ProjectOptions, withProject } from "../options/project-option.ts";
import { type RevocationOptions, whyOf, withRevocation } from "../options/revocation-options.ts";
import { type Run, runs } from "../run.ts";
import { pairs, table } from "../output/table.ts";
import { timeOf, wordOf } from "../output/enum-format.ts";

/** Adds `sessiond keys …`; each needs a credential with `projects.admin`. */
export function addKeysCommands(program: Command): void {
  const keys = program
    .command("keys")
    .description("signing keys: list, rotate, revoke (needs projects.admin)");
  runs(
    withConnection(withProject(keys.command("list").description("list signing keys, newest first"))),
    listKeys,
  );
  const rotate = keys
    .command("rotate")
    .description("publish a next key, which signs after the publication delay without another call");
  runs(withConnection(withProject(rotate)), rotateKeys);
  const revoke = keys
    .command("revoke")
    .description("refuse a key that has leaked, and every JWT that it signed; the sessions live on")
    .argument("<kid>", "the key")
    // One key in 64 has an id that begins with "-": it is no option, not even -h.
    .helpOption("--help", "print help")
    .allowUnknownOption();
  runs(withConnection(withProject(withRevocation(revoke))), revokeKey);
}

type KeyOptions = ConnectionOptions & ProjectOptions;

async function listKeys(run: Run<KeyOptions>): Promise<void> {
  const answer = await calling(run, ({ projects }, { credential }) =>
    projects.listSigningKeys({ projectId: run.options.project ?? credential.projectId }),
  );
  const rows = answer.signingKeys.map((key) => [
    key.kid,
    wordOf(SignatureAlgorithmSchema, key.algorithm),
    wordOf(SigningKeyStateSchema, key.state),
    timeOf(key.createTime),
    timeOf(key.activateTime),
    timeOf(key.retireTime),
    timeOf(key.publishEndTime),
    timeOf(key.revokeTime),
  ]);
  const head = ["kid", "algorithm", "state", "created", "signs from", "to", "published until", "revoked"];
  await run.output.result(messageJson(ListSigningKeysResponseSchema, answer), table(head, rows));
}

async function rotateKeys(run: Run<KeyOptions>): Promise<void> {
  const answer = await calling(run, ({ projects }, { credential }) =>
    projects.rotateSigningKey({ projectId: run.options.project ?? credential.projectId }),
  );
  await run.output.result(messageJson(RotateSigningKeyResponseSchema, answer), described(answer.signingKey));
}

async function revokeKey(run: Run<KeyOptions & RevocationOptions>): Promise<void> {
  const { options, operands } = run;
  const [kid = ""] = operands;
  const answer = await calling(run, ({ projects }, { credential }) =>
    projects.revokeSigningKey({ projectId: options.project ?? credential.projectId, kid, ...whyOf(options) }),
  );
  await run.output.result(messageJson(RevokeSigningKeyResponseSchema, answer), described(answer.signingKey));
}

function described(key: SigningKey | undefined): string {
  if (key === undefined) return "";
  const revoked = key.revokeTime === undefined ? [] : ([["revoked", timeOf(key.revokeTime)]] as const);
  return pairs([
    ["key", key.kid],
    ["algorithm", wordOf(SignatureAlgorithmSchema, key.algorithm)],
    ["state", wordOf(SigningKeyStateSchema, key.state)],
    ["signs from", timeOf(key.activateTime)],
    ...revoked,
  ]);
}
