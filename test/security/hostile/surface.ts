import {
  type DescMessage,
  type DescMethod,
  type DescService,
  ScalarType,
  getOption,
} from "@bufbuild/protobuf";
import { SessionService as FlashbackService } from "../../../gen/compat/flashback/v1/session_service_pb.ts";
import { SessionService as KratosService } from "../../../gen/compat/kratos/v1/session_service_pb.ts";
import { SessionService as StytchService } from "../../../gen/compat/stytch/v1/session_service_pb.ts";
import { SessionService as StytchB2bService } from "../../../gen/compat/stytch_b2b/v1/session_service_pb.ts";
import { http } from "../../../gen/google/api/annotations_pb.ts";
import type { HttpRule } from "../../../gen/google/api/http_pb.ts";
import { Health } from "../../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection as ReflectionV1 } from "../../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ReflectionV1Alpha } from "../../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { ProjectService } from "../../../gen/session/v1/project_service_pb.ts";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";

const rpcServices: readonly DescService[] = [SessionService, ProjectService, Health];
export const restServices: readonly DescService[] = [
  SessionService,
  ProjectService,
  FlashbackService,
  StytchService,
  StytchB2bService,
  KratosService,
];

/** Unary methods over RPC, without reflection. */
export const rpcMethods: readonly DescMethod[] = rpcServices
  .flatMap((service) => service.methods)
  .filter((method) => method.methodKind === "unary");

/** All methods over RPC, including streams and reflection. */
export const allRpcMethods: readonly DescMethod[] = [...rpcServices, ReflectionV1, ReflectionV1Alpha].flatMap(
  (service) => service.methods,
);

export interface RestRoute {
  readonly method: DescMethod;
  readonly httpMethod: string;
  readonly template: string;
  /** The path with this text, not escaped, in place of every variable. */
  readonly path: (value: string) => string;
}

export const restRoutes: readonly RestRoute[] = restServices
  .flatMap((service) => service.methods)
  .flatMap((method) => {
    const rule = getOption(method, http);
    return [rule, ...rule.additionalBindings].map((binding) => routeOf(method, binding));
  });

function routeOf(method: DescMethod, { pattern }: HttpRule): RestRoute {
  if (pattern.case === undefined || pattern.case === "custom") throw new Error(`${method.name} has no path`);
  const template = pattern.value;
  const path = (value: string) => template.replaceAll(/\{[^}]*\}/g, () => value);
  return { method, httpMethod: pattern.case.toUpperCase(), template, path };
}

export function nameOf(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}

/** For each text field of the message, JSON with `text` in this field. */
export function withTextInEachField(message: DescMessage, text: string): { field: string; json: object }[] {
  if (message.typeName === "google.protobuf.Struct") {
    return [
      { field: "value", json: { a: [text] } },
      { field: "key", json: { [text]: 1 } },
    ];
  }
  return message.fields.flatMap((field) => {
    const { jsonName: name } = field;
    const wrap = (value: unknown) => ({ [name]: field.fieldKind === "list" ? [value] : value });
    if (
      field.message !== undefined &&
      field.message.typeName.startsWith("google.protobuf.") &&
      field.message.typeName !== "google.protobuf.Struct"
    ) {
      return [];
    }
    if (field.message !== undefined) {
      return withTextInEachField(field.message, text).map(({ field: inner, json }) => ({
        field: `${name}.${inner}`,
        json: wrap(json),
      }));
    }
    return field.scalar === ScalarType.STRING ? [{ field: name, json: wrap(text) }] : [];
  });
}
