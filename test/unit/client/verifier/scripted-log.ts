import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../../../gen/google/rpc/error_details_pb.ts";
import type { RevocationScope } from "../../../../gen/session/v1/revocation_pb.ts";
import { type ScriptedService, silence } from "./scripted-service.ts";

interface Entry {
  readonly scope: RevocationScope;
  readonly targetId: string;
  readonly exceptSessionId?: string;
  /** Milliseconds since 1970. */
  readonly revokedAt?: number;
}

/** The log of a database. */
export interface ScriptedLog {
  /** Names the history in positions. */
  readonly history: string;
  /** Revision before the first entry. */
  readonly from?: number;
  readonly entries: readonly Entry[];
  readonly recoveryIds?: readonly string[];
  /** Delays streams that start with a snapshot. */
  readonly opening?: Promise<void>;
}

/** Makes a service stream `first`. Returns where each stream started, and how to replace the log, as a restore does. */
export function streamLog(service: ScriptedService, first: ScriptedLog) {
  const starts: unknown[] = [];
  let log = first;
  let replaced = Promise.withResolvers<void>();
  service.watch = async function* ({ start }, context) {
    starts.push(start.case === "after" ? start.value : start.case);
    const { history, from = 0, entries, recoveryIds = [], opening } = log;
    const over = replaced.promise;
    const head = from + entries.length;
    let after = from;
    if (start.case === "after") {
      const [name, revision] = start.value.split("@");
      after = Number(revision);
      if (name !== history || after > head || after < from) {
        throw errorWith(Code.OutOfRange, "HISTORY_CHANGED");
      }
    } else {
      await opening;
    }
    const revocations = entries.slice(after - from).map(({ revokedAt = Date.now(), ...entry }, i) => ({
      ...entry,
      revision: BigInt(after + i + 1),
      revokeTime: timestampFromMs(revokedAt),
      lastJwtExpireTime: timestampFromMs(revokedAt + 400_000),
    }));
    const position = `${history}@${head}`;
    yield {
      revocations,
      revision: BigInt(head),
      upToDate: true,
      readOffset: {},
      position,
      recoveryIds: [...recoveryIds],
    };
    await Promise.race([over, silence(context)]);
    throw new ConnectError("the database does not answer", Code.Unavailable);
  };
  return {
    starts,
    /** Ends the running streams; the next ones show `next`. */
    replace(next: ScriptedLog): void {
      log = next;
      replaced.resolve();
      replaced = Promise.withResolvers();
    },
  };
}

/** An error of sessiond with this reason. */
export function errorWith(code: Code, reason: string): ConnectError {
  const value = { reason, domain: "sessiond", metadata: {} };
  return new ConnectError(reason, code, undefined, [{ desc: ErrorInfoSchema, value }]);
}
