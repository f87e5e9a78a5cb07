import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { SessiondError } from "../domain/errors.ts";
import type { Permission } from "../domain/project.ts";
import type { Identity } from "./identify.ts";

/** Who may call a method: everyone; services with a permission; end users, within the bounds of the use case. */
export type MethodAccess =
  | "public"
  | {
      readonly service?: Permission;
      readonly member?: true;
      /** Whether it revokes. Then an end user's JWT that is not valid yet is accepted: no clock may make a revocation fail. */
      readonly revokes?: true;
    };

/** The access of every method of a service. */
export type ServiceAccess<S extends DescService> = { readonly [Name in keyof S["method"]]: MethodAccess };

/** The access of all methods, by descriptor and not by path. A method without an entry is denied. */
export class AccessTable {
  readonly #entries = new Map<DescMethod, MethodAccess>();

  /** Adds the methods of a service. */
  add<S extends DescService>(service: S, access: ServiceAccess<S>): this {
    for (const method of service.methods) {
      const entry = (access as Readonly<Record<string, MethodAccess | undefined>>)[method.localName];
      if (entry === undefined) throw new Error(`no permission entry for ${service.typeName}/${method.name}`);
      this.#entries.set(method, entry);
    }
    return this;
  }

  /** Fails at start-up if a method of these services has no entry. */
  requireEntries(services: Iterable<DescService>): void {
    const missing = [...services]
      .flatMap((service) => service.methods)
      .filter((method) => !this.#entries.has(method))
      .map((method) => `${method.parent.typeName}/${method.name}`);
    if (missing.length > 0) throw new Error(`no permission entry for ${missing.join(", ")}`);
  }

  entries(): IterableIterator<[DescMethod, MethodAccess]> {
    return this.#entries.entries();
  }

  /** The access of a method; CALLER_NOT_ALLOWED without an entry. */
  of(method: DescMethod): MethodAccess {
    const access = this.#entries.get(method);
    if (access === undefined) throw new SessiondError("CALLER_NOT_ALLOWED");
    return access;
  }
}

/**
 * Fails unless the caller may call the method. A service needs its permission, also with a member session
 * (PERMISSION_MISSING). The method must accept end users (CALLER_NOT_ALLOWED).
 */
export function requireAccess(access: Exclude<MethodAccess, "public">, { service, caller }: Identity): void {
  if (caller.kind === "member" && access.member !== true) throw new SessiondError("CALLER_NOT_ALLOWED");
  if (service === undefined) return;
  if (access.service === undefined) throw new SessiondError("CALLER_NOT_ALLOWED");
  if (!service.credential.permissions.includes(access.service)) {
    throw new SessiondError("PERMISSION_MISSING", { metadata: { permission: access.service } });
  }
}
