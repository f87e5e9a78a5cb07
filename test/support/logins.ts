import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import type { CreateRequestSchema } from "../../gen/session/v1/session_service_pb.ts";
import type { RunningService } from "./running-service.ts";
import { sessionsOf } from "./service-clients.ts";

/** A session that has just been created. */
export interface Login {
  readonly id: string;
  readonly memberId: string;
  readonly token: string;
  readonly jwt: string;
}

/** Creates a session; of a new member, unless told. */
export async function newLogin(
  service: RunningService,
  request: MessageInitShape<typeof CreateRequestSchema> = {},
): Promise<Login> {
  const memberId = request.memberId ?? `member-${randomUUID()}`;
  const { session, token, jwt } = await sessionsOf(service).create({ ...request, memberId });
  if (session === undefined) throw new Error("Create answered without a session");
  return { id: session.id, memberId, token, jwt };
}

/** As many logins as asked for, of as many members, all at once. */
export function newLogins(service: RunningService, count: number): Promise<readonly Login[]> {
  return Promise.all(Array.from({ length: count }, () => newLogin(service)));
}

/** Asks for all at once, by id and by token. Fails as the calls do, and where one was given the answer of another. */
export async function requireOwnAnswers(service: RunningService, logins: readonly Login[]): Promise<void> {
  const sessions = sessionsOf(service);
  const wrong = logins.map(async ({ id, memberId, token }) => {
    const credential = { case: "token", value: token } as const;
    const answers = await Promise.all([sessions.get({ id }), sessions.authenticate({ credential })]);
    return answers.filter(({ session }) => session?.id !== id || session.memberId !== memberId);
  });
  for (const answers of await Promise.all(wrong))
    if (answers.length > 0) throw new Error("a login was given the answer of another");
}

/** What Authenticate says of a session: "active", or the reason why not. */
export async function verdictOn(service: RunningService, { token }: Pick<Login, "token">): Promise<string> {
  try {
    await sessionsOf(service).authenticate({ credential: { case: "token", value: token } });
    return "active";
  } catch (error) {
    return reasonOf(error);
  }
}

/** The reason that a failed call tells; its message where it tells none. */
export function reasonOf(error: unknown): string {
  const shown = ConnectError.from(error);
  return shown.findDetails(ErrorInfoSchema)[0]?.reason ?? shown.message;
}
