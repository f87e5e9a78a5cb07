import type { DescMethod } from "@bufbuild/protobuf";
import { ServerReflection as ReflectionV1 } from "../../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ReflectionV1Alpha } from "../../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { rpcServices } from "../hostile/surface.ts";

/** Every method that is served over RPC, streams and reflection included. */
export const rpcMethods: readonly DescMethod[] = [...rpcServices, ReflectionV1, ReflectionV1Alpha].flatMap(
  (service) => service.methods,
);
