// A server on `@grpc/grpc-js` that answers the no-op.
import * as grpc from "@grpc/grpc-js";
import { grpcServiceDefinition } from "../../../src/client/grpc.ts";
import { announce } from "./announce.ts";
import { NoOpService, noOpAnswer } from "./no-op.ts";

const server = new grpc.Server();
const { check } = grpcServiceDefinition(NoOpService);
const answer: grpc.handleUnaryCall<unknown, typeof noOpAnswer> = (_, callback) => callback(null, noOpAnswer);
server.addService({ check }, { check: answer });
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  announce({ address: "127.0.0.1", family: "IPv4", port });
});
