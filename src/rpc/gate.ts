import type { DescService } from "@bufbuild/protobuf";
import { type HandlerContext, createContextKey } from "@connectrpc/connect";
import { withActingUser } from "../auth/acting-user.ts";
import { type AccessTable, type MethodAccess, requireAccess } from "../auth/access.ts";
import type { CallLimits } from "../auth/call-limits.ts";
import { identify } from "../auth/identify.ts";
import { type CredentialScheme, standardScheme } from "../auth/request-credentials.ts";
import type { Caller, MemberCaller, ServiceCaller } from "../domain/use-cases/caller.ts";
import { SessiondError } from "../domain/errors.ts";
import type { Dependencies } from "../domain/use-cases/dependencies.ts";
import type { Call } from "../transport/call.ts";
import type { Gate } from "../transport/pipeline.ts";
import { type CallRecord, callRecordKey } from "./call-record.ts";

const callerKey = createContextKey<Caller | undefined>(undefined, { description: "caller" });

export interface GateOptions {
  readonly deps: Dependencies;
  readonly access: AccessTable;
  /** Credential schemes of documented APIs; {@link standardScheme} for all other services. */
  readonly schemes: ReadonlyMap<DescService, CredentialScheme>;
  readonly limits: CallLimits;
}

/** Makes the gate that identifies the caller, limits their rate and checks that they may call the method. */
export function requestGate({ deps, access, schemes, limits }: GateOptions): Gate {
  async function admit(call: Call, needed: RestrictedAccess, record: CallRecord): Promise<void> {
    const scheme = schemes.get(call.service) ?? standardScheme;
    const presented = scheme(call.requestHeader, record.peer);
    if (presented === undefined) throw new SessiondError("CREDENTIAL_MISSING");
    const identity = await identify(deps, presented, needed.revokes === true, call);
    record.identity = identity;
    limits.countCaller(identity);
    // Before the check of permissions, so that the log says for whom a refused call was made.
    const acting = withActingUser(identity, call.requestHeader);
    record.identity = acting;
    requireAccess(needed, acting);
    call.values.set(callerKey, acting.caller);
  }
  return (call) => {
    const record = call.values.get(callRecordKey);
    record.method = `${call.service.typeName}/${call.method.name}`;
    record.protocol = call.protocolName;
    limits.countAddress(record.peer, call.requestHeader);
    const needed = access.of(call.method);
    return needed === "public" ? undefined : admit(call, needed, record);
  };
}

type RestrictedAccess = Exclude<MethodAccess, "public">;

/** The caller of a method that is not public. */
export function callerOf(context: HandlerContext): Caller {
  const caller = context.values.get(callerKey);
  if (caller === undefined) throw new SessiondError("CREDENTIAL_MISSING");
  return caller;
}

/** The caller of a method for services only. */
export function serviceCallerOf(context: HandlerContext): ServiceCaller {
  const caller = callerOf(context);
  if (caller.kind !== "service") throw new SessiondError("CALLER_NOT_ALLOWED");
  return caller;
}

/** The caller of a method for end users only. */
export function memberCallerOf(context: HandlerContext): MemberCaller {
  const caller = callerOf(context);
  if (caller.kind !== "member") throw new SessiondError("CALLER_NOT_ALLOWED");
  return caller;
}
