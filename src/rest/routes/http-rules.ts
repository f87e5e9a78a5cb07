import { type DescMethod, type DescService, getOption, hasOption } from "@bufbuild/protobuf";
import { http } from "../../../gen/google/api/annotations_pb.ts";
import type { HttpRule } from "../../../gen/google/api/http_pb.ts";

/** A method and one rule; additional bindings are separate bindings. */
export interface Binding {
  readonly method: DescMethod;
  readonly rule: HttpRule;
}

/**
 * Lists the bindings of all methods. The last rule with a selector replaces the option of its method, as in a service
 * configuration. Throws for an unknown selector and for nested additional bindings.
 */
export function collectBindings(services: readonly DescService[], rules: readonly HttpRule[]): Binding[] {
  const methods = new Map(
    services.flatMap((service) => service.methods.map((method) => [fullName(method), method])),
  );
  for (const rule of rules) {
    if (!methods.has(rule.selector)) {
      throw new Error(`http rule: the selector "${rule.selector}" is not a method of the given services`);
    }
  }
  const selected = new Map(rules.map((rule) => [rule.selector, rule]));
  return [...methods].flatMap(([name, method]) => {
    const rule = selected.get(name) ?? (hasOption(method, http) ? getOption(method, http) : undefined);
    return rule === undefined ? [] : bindingsOf(method, rule);
  });
}

/** `package.Service.Method`, as in selectors and error messages. */
export function fullName(method: DescMethod): string {
  return `${method.parent.typeName}.${method.name}`;
}

function bindingsOf(method: DescMethod, rule: HttpRule): Binding[] {
  if (rule.additionalBindings.some((additional) => additional.additionalBindings.length > 0)) {
    throw new Error(`${fullName(method)}: additional_bindings must not have additional_bindings`);
  }
  return [rule, ...rule.additionalBindings].map((one) => ({ method, rule: one }));
}
