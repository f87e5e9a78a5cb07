import { Permission } from "../../../gen/session/v1/project_pb.ts";
import { type ServerProcess, startServerProcess } from "../../support/process/server-process.ts";
import { grpcLane } from "./grpc-lane.ts";
import { anyHttpCall, anyRestRequest, routes } from "./http-requests.ts";
import { type Prey, type Tally, httpLane, post } from "./lane.ts";
import { Pipeline } from "./pipeline.ts";
import { allRpcMethods } from "../hostile/surface.ts";

interface WireReport extends Tally {
  readonly routes: number;
  readonly methods: number;
  readonly logLines: number;
  /** Log lines with a fault or a secret, and warnings of Node. */
  readonly suspicious: readonly string[];
}

interface WireOptions {
  readonly seed: number;
  readonly inputs: number;
  /** Number of connections, a multiple of four: half for REST, a quarter for gRPC, a quarter for Connect and gRPC-Web. */
  readonly lanes: number;
}

/** Sends generated requests to a service in its own process. Rejects with the smallest input that gets a wrong answer. */
export async function fuzzWire({ seed, inputs, lanes }: WireOptions): Promise<WireReport> {
  const suspicious: string[] = [];
  let logLines = 0;
  let secrets = /(sst|ssk)_[\w-]{20}|eyJ[\w-]{10}[\w-]*\.|Basic [\w+/]{10}/;
  const server = await startServerProcess({
    environment: {
      SESSIOND_LOG_LEVEL: "debug",
      // Most inputs fail to authenticate, all from one address.
    },
    onLine(line) {
      logLines++;
      const isOdd =
        !line.startsWith("{") || (line.includes('"fault"') && !line.includes("connection trouble"));
      if (isOdd || secrets.test(line)) suspicious.push(line);
    },
  });
  secrets = new RegExp(`${secrets.source}|${server.secret}|${server.basic.slice(6)}`);
  const tally: Tally = { inputs: 0, outcomes: new Map() };
  try {
    const prey = await createPrey(server);
    const share = { inputs: inputs / lanes };
    const running = Array.from({ length: lanes }, (_, i) => {
      const options = { ...share, seed: seed + i };
      if (i % 4 === 0) return grpcLane(server, prey, options, tally);
      return httpLane(server, prey, i % 4 === 1 ? anyHttpCall : anyRestRequest, options, tally);
    });
    const outcomes = await Promise.allSettled(running);
    const failures = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
    if (server.hasEnded()) {
      throw new AggregateError(failures, `the service ended: ${server.errorLines.join("\n")}`);
    }
    if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join("\n\n"));
  } finally {
    await server.stop();
  }
  return { ...tally, routes: routes.length, methods: allRpcMethods.length, logLines, suspicious };
}

async function createPrey(server: ServerProcess): Promise<Prey> {
  const pipeline = new Pipeline(server.port);
  const call = async (basic: string, method: string, message: object) => {
    const [answer] = await pipeline.send([
      { bytes: post(`/session.v1.${method}`, basic, message), isHead: false },
    ]);
    if (answer?.status !== 200) throw new Error(`${method}: ${answer?.body.toString()}`);
    return JSON.parse(answer.body.toString());
  };
  await call(server.basic, "ProjectService/CreateProject", { id: "prey" });
  const { secret } = await call(server.basic, "ProjectService/CreateServiceCredential", {
    projectId: "prey",
    permissions: [Permission.SESSIONS_CREATE],
  });
  const basic = `Basic ${Buffer.from(`prey:${secret}`).toString("base64")}`;
  const { session, token, jwt } = await call(basic, "SessionService/Create", { memberId: "alice" });
  pipeline.close();
  return { id: session.id, token, jwt };
}
