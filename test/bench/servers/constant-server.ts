// A server that answers the no-op with a constant. The argument selects what it is built on.
import { createServer } from "node:http2";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import * as grpc from "@grpc/grpc-js";
import { grpcServiceDefinition } from "../../../src/client/grpc.ts";
import { announce } from "./announce.ts";
import { NoOpService, noOpAnswer, noOpAnswerFrame } from "./no-op.ts";

const headers = { "content-type": "application/grpc+proto" };
const trailers = { "grpc-status": "0" };

/** `node:http2` has two APIs: streams, and one that resembles node:http, on which libraries are built. */
const http2Servers = {
  stream: () =>
    createServer().on("stream", (stream) => {
      stream.resume().on("end", () => {
        stream.respond({ ":status": 200, ...headers }, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers(trailers));
        stream.end(noOpAnswerFrame);
      });
    }),
  compat: () =>
    createServer((request, response) => {
      request.resume().on("end", () => {
        response.writeHead(200, headers);
        response.addTrailers(trailers);
        response.end(noOpAnswerFrame);
      });
    }),
  "connect-node": () =>
    createServer(
      connectNodeAdapter({ routes: (router) => router.service(NoOpService, { check: () => noOpAnswer }) }),
    ),
};

function startGrpcJs(): void {
  const server = new grpc.Server();
  const { check } = grpcServiceDefinition(NoOpService);
  const answer: grpc.handleUnaryCall<unknown, typeof noOpAnswer> = (_, done) => done(null, noOpAnswer);
  server.addService({ check }, { check: answer });
  server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error !== null) throw error;
    announce({ address: "127.0.0.1", family: "IPv4", port });
  });
}

const kind = process.argv[2] as keyof typeof http2Servers | "grpc-js";
if (kind === "grpc-js") {
  startGrpcJs();
} else {
  const server = http2Servers[kind]();
  server.listen(0, "127.0.0.1", () => announce(server.address()));
}
