import type { DescService } from "@bufbuild/protobuf";
import { type HandlerContext, createContextKey } from "@connectrpc/connect";
import { type AccessTable, type MethodAccess, requireAccess } from "../auth/access.ts";
import type { CallLimits } from "../auth/call-limits.ts";
import { identify } from "../auth/identify.ts";
import { type CredentialScheme, standardScheme } from "../auth/request-credentials.ts";
import type { Caller, MemberCaller, ServiceCaller } from "../domain/use-cases/caller.ts";
import { SessiondError } from "../domain/errors.ts";
import type { Dependencies } from "../domain/use-cases/dependencies.ts";
import { type CallRecord, callContextOf, callRecordKey } from "./call-record.ts";
import { toConnectError } from "./connect-errors.ts";
import { byDeadline, noteDeadline } from "./deadline.ts";

const callerKey = createContextKey<Caller | undefined>(undefined, { description: "caller" });

/** What lets requests in. */
export interface GateOptions {
  readonly deps: Dependencies;
  readonly access: AccessTable;
  /** How the services of documented APIs find a credential; {@link standardScheme} for all others. */
  readonly schemes: ReadonlyMap<DescService, CredentialScheme>;
  readonly limits: CallLimits;
}

/** Lets a call in, at once or later, or fails with a ConnectError. */
export type RequestGate = (context: HandlerContext) => Promise<void> | undefined;

/**
 * Makes the gate that every call passes before a byte of its message is read: who calls is found out and whether they may
 * call this method. Fails with the errors of {@link identify} and {@link requireAccess}, and with RATE_LIMITED.
 */
export function requestGate({ deps, access, schemes, limits }: GateOptions): RequestGate {
  async function letIn(context: HandlerContext, needed: RestrictedAccess, record: CallRecord): Promise<void> {
    try {
      const scheme = schemes.get(context.service) ?? standardScheme;
      const presented = scheme(context.requestHeader, record.peer);
      if (presented === undefined) throw new SessiondError("CREDENTIAL_MISSING");
      // A failure counts even if the caller did not wait for it.
      const identity = await byDeadline(record, () =>
        limits.authenticate(record.peer, presented, () => identify(deps, presented, callContextOf(context))),
      );
      record.identity = identity;
      limits.countCaller(identity);
      requireAccess(needed, identity);
      context.values.set(callerKey, identity.caller);
    } catch (error) {
      throw toConnectError(error, record);
    }
  }
  return (context) => {
    const record = context.values.get(callRecordKey);
    record.method = `${context.service.typeName}/${context.method.name}`;
    record.protocol = context.protocolName;
    noteDeadline(record, context);
    try {
      limits.countAddress(record.peer);
      const needed = access.of(context.method);
      return needed === "public" ? undefined : letIn(context, needed, record);
    } catch (error) {
      throw toConnectError(error, record);
    }
  };
}

type RestrictedAccess = Exclude<MethodAccess, "public">;

/** The caller of a method that is not public. */
export function callerOf(context: HandlerContext): Caller {
  const caller = context.values.get(callerKey);
  if (caller === undefined) throw new SessiondError("CREDENTIAL_MISSING");
  return caller;
}

/** The caller of a method that is for services alone. */
export function serviceCallerOf(context: HandlerContext): ServiceCaller {
  const caller = callerOf(context);
  if (caller.kind !== "service") throw new SessiondError("CALLER_NOT_ALLOWED");
  return caller;
}

/** The caller of a method that is for end users alone. */
export function memberCallerOf(context: HandlerContext): MemberCaller {
  const caller = callerOf(context);
  if (caller.kind !== "member") throw new SessiondError("CALLER_NOT_ALLOWED");
  return caller;
}
