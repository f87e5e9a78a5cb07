// A server on `node:http2` alone that answers the bytes of the no-op. The argument selects one of Node's two APIs: "stream", or
// "compat", which resembles node:http and on which libraries are built.
import { createServer } from "node:http2";
import { announce } from "./announce.ts";
import { noOpAnswerFrame } from "./no-op.ts";

const headers = { "content-type": "application/grpc+proto" };
const trailers = { "grpc-status": "0" };
const server = createServer();

if (process.argv[2] === "compat") {
  server.on("request", (request, response) => {
    request.resume().on("end", () => {
      response.writeHead(200, headers);
      response.addTrailers(trailers);
      response.end(noOpAnswerFrame);
    });
  });
} else {
  server.on("stream", (stream) => {
    stream.resume().on("end", () => {
      stream.respond({ ":status": 200, ...headers }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers(trailers));
      stream.end(noOpAnswerFrame);
    });
  });
}
server.listen(0, "127.0.0.1", () => announce(server.address()));
