import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { isSessionRefused } from "./error-info.ts";

/**
 * Keeps UNAUTHENTICATED for the session token or JWT that a call presents. A call whose own credential the server refuses fails
 * with INTERNAL instead, because a program that takes a replaced secret for a bad session logs out every user. `cause` is the error
 * as the server sent it.
 */
export const ownCredentialErrors: Interceptor = (next) => async (request) => {
  try {
    const answer = await next(request);
    return answer.stream ? { ...answer, message: messagesOf(answer.message) } : answer;
  } catch (error) {
    throw ownCredentialError(error);
  }
};

/** A stream reports the server's refusal when it is read. */
async function* messagesOf<Message>(messages: AsyncIterable<Message>): AsyncGenerator<Message> {
  try {
    yield* messages;
  } catch (error) {
    throw ownCredentialError(error);
  }
}

/** Returns any other error unchanged. */
export function ownCredentialError<E>(error: E): E | ConnectError {
  if (!(error instanceof ConnectError)) return error;
  if (error.code !== Code.Unauthenticated || isSessionRefused(error)) return error;
  const message = `the server refuses this service's own credential: ${error.rawMessage}`;
  // Without the metadata, which a Connect server would send on to its own client.
  const shown = new ConnectError(message, Code.Internal, undefined, undefined, error);
  shown.details = error.details;
  return shown;
}
