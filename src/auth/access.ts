import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { SessiondError } from "../domain/errors.ts";
import type { Permission } from "../domain/project.ts";
import type { Identity } from "./identify.ts";

/** Who may call a method: anybody; services with a permission; end users, for what the use case lets them reach. */
export type MethodAccess = "public" | { readonly service?: Permission; readonly member?: true };

/** The access of every method of a service; TypeScript does not let one be forgotten. */
export type ServiceAccess<S extends DescService> = { readonly [Name in keyof S["method"]]: MethodAccess };

/** Looks up who may call a method. Methods are known by descriptor, never by path; one without an entry is denied. */
export class AccessTable {
  readonly #entries = new Map<DescMethod, MethodAccess>();

  /** States the access of all methods of a service. */
  add<S extends DescService>(service: S, access: ServiceAccess<S>): this {
    for (const method of service.methods) {
      const entry = (access as Readonly<Record<string, MethodAccess | undefined>>)[method.localName];
      if (entry === undefined) throw new Error(`no permission entry for ${service.typeName}/${method.name}`);
      this.#entries.set(method, entry);
    }
    return this;
  }

  /** Fails, at start-up, for services that have a method without an entry. */
  requireEntries(services: Iterable<DescService>): void {
    const missing = [...services]
      .flatMap((service) => service.methods)
      .filter((method) => !this.#entries.has(method))
      .map((method) => `${method.parent.typeName}/${method.name}`);
    if (missing.length > 0) throw new Error(`no permission entry for ${missing.join(", ")}`);
  }

  /** All methods and who may call them, in the order in which they were stated. */
  entries(): IterableIterator<[DescMethod, MethodAccess]> {
    return this.#entries.entries();
  }

  /** Who may call the method; CALLER_NOT_ALLOWED where nobody said. */
  of(method: DescMethod): MethodAccess {
    const access = this.#entries.get(method);
    if (access === undefined) throw new SessiondError("CALLER_NOT_ALLOWED");
    return access;
  }
}

/**
 * Fails unless the identity may call: a service needs the permission (PERMISSION_MISSING), with a member session beside it
 * too; an end user must be among those the method is for (CALLER_NOT_ALLOWED).
 */
export function requireAccess(access: Exclude<MethodAccess, "public">, { service, caller }: Identity): void {
  if (caller.kind === "member" && access.member !== true) throw new SessiondError("CALLER_NOT_ALLOWED");
  if (service === undefined) return;
  if (access.service === undefined) throw new SessiondError("CALLER_NOT_ALLOWED");
  if (!service.credential.permissions.includes(access.service)) {
    throw new SessiondError("PERMISSION_MISSING", { metadata: { permission: access.service } });
  }
}
