import { type DescMethod, type DescService, getOption, hasOption } from "@bufbuild/protobuf";
import { http } from "../../../gen/google/api/annotations_pb.ts";
import type { HttpRule } from "../../../gen/google/api/http_pb.ts";

/** One binding of a method: a rule without its additional ones. */
export interface Binding {
  readonly method: DescMethod;
  readonly rule: HttpRule;
}

/**
 * The bindings of all methods of `services`. A rule with a selector replaces the option of the method it selects; the
 * last one wins, as in a service configuration. Throws for an unknown selector and for additional bindings that nest.
 */
export function collectBindings(services: readonly DescService[], rules: readonly HttpRule[]): Binding[] {
  const methods = new Map(
    services.flatMap((service) => service.methods.map((method) => [fullName(method), method])),
  );
  for (const rule of rules) {
    if (!methods.has(rule.selector)) {
      throw new Error(`http rule: the selector "${rule.selector}" names no method of the given services`);
    }
  }
  const selected = new Map(rules.map((rule) => [rule.selector, rule]));
  return [...methods].flatMap(([name, method]) => {
    const rule = selected.get(name) ?? (hasOption(method, http) ? getOption(method, http) : undefined);
    return rule === undefined ? [] : bindingsOf(method, rule);
  });
}

/** `package.Service.Method`, as selectors and error messages write it. */
export function fullName(method: DescMethod): string {
  return `${method.parent.typeName}.${method.name}`;
}

function bindingsOf(method: DescMethod, rule: HttpRule): Binding[] {
  if (rule.additionalBindings.some((additional) => additional.additionalBindings.length > 0)) {
    throw new Error(
      `${fullName(method)}: additional_bindings must not have additional_bindings of their own`,
    );
  }
  return [rule, ...rule.additionalBindings].map((one) => ({ method, rule: one }));
}
