import { type DescMessage, type DescService, create, createFileRegistry } from "@bufbuild/protobuf";
import { promisify } from "node:util";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { describe, expect, expectTypeOf, onTestFinished, test } from "vitest";
import {
  Health,
  type HealthCheckRequest,
  HealthCheckRequestSchema,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../gen/grpc/health/v1/health_pb.ts";
import {
  ServerReflection,
  type ServerReflectionResponse,
} from "../../../gen/grpc/reflection/v1/reflection_pb.ts";
import {
  type GrpcCallback,
  type GrpcClient,
  grpcClient,
  grpcServiceDefinition,
} from "../../../src/client/grpc.ts";
import { answerTo, metadataOf } from "../../support/process/grpc-js.ts";
import { serving } from "../rpc/serving.ts";

function connected<Service extends DescService>(service: Service, port: number): GrpcClient<Service> {
  const client = grpcClient(service, `127.0.0.1:${port}`, grpc.credentials.createInsecure());
  onTestFinished(() => client.close());
  return client;
}

/** Fails with NOT_FOUND for "no", never answers "never", and returns the request header "x-echo". */
async function servingHealth() {
  const { port } = await serving((router) =>
    router.service(Health, {
      async check({ service }, { requestHeader, responseHeader, responseTrailer, signal }) {
        if (service === "no") throw new ConnectError("no such service", Code.NotFound);
        if (service === "never") await new Promise((resolve) => signal.addEventListener("abort", resolve));
        responseHeader.set("x-echo", requestHeader.get("x-echo") ?? "none");
        responseTrailer.set("x-trailer", "last");
        return { status: Status.SERVING };
      },
      async *watch({ service }) {
        yield { status: Status.SERVING };
        yield { status: Status.NOT_SERVING };
        if (service === "no") throw new ConnectError("no such service", Code.NotFound);
      },
    }),
  );
  return connected(Health, port);
}

type Outcome = [error: grpc.ServiceError | null, response?: HealthCheckResponse];

describe("a unary call", () => {
  const metadata = metadataOf({ "x-echo": "sent" });
  type Client = GrpcClient<typeof Health>;
  type Callback = (...outcome: Outcome) => void;
  type Call = (client: Client, callback: Callback) => grpc.ClientUnaryCall;
  const options = { deadline: Infinity };
  const shapes: [name: string, call: Call, echo: string][] = [
    ["a callback", (client, callback) => client.check({ service: "" }, callback), "none"],
    ["metadata", (client, callback) => client.check({}, metadata, callback), "sent"],
    ["options", (client, callback) => client.check({}, options, callback), "none"],
    ["metadata and options", (client, callback) => client.check({}, metadata, options, callback), "sent"],
    ["a message", (client, callback) => client.check(create(HealthCheckRequestSchema), callback), "none"],
  ];
  test.each(shapes)("accepts %s", async (_, call, echo) => {
    const client = await servingHealth();
    const headers = Promise.withResolvers<grpc.Metadata>();
    const trailers = Promise.withResolvers<grpc.StatusObject>();
    const outcome = await new Promise<Outcome>((resolve) => {
      const running = call(client, (...outcome) => resolve(outcome));
      running.on("metadata", headers.resolve).on("status", trailers.resolve);
    });
    expect(outcome).toMatchObject([
      null,
      { $typeName: "grpc.health.v1.HealthCheckResponse", status: Status.SERVING },
    ]);
    expect((await headers.promise).get("x-echo")).toEqual([echo]);
    expect((await trailers.promise).metadata.get("x-trailer")).toEqual(["last"]);
  });

  const failing = async (request: { service: string }, options: grpc.CallOptions = {}) => {
    const client = await servingHealth();
    return new Promise<grpc.ServiceError | null>((resolve) => {
      const call = client.check(request, options, (error) => resolve(error));
      if (request.service === "never" && options.deadline === undefined) call.cancel();
    });
  };

  const { NOT_FOUND, CANCELLED, DEADLINE_EXCEEDED, INTERNAL } = grpc.status;
  test.each<[string, string, number | undefined, number, RegExp]>([
    ["fails with the status of the server", "no", undefined, NOT_FOUND, /^no such service$/],
    ["can be cancelled", "never", undefined, CANCELLED, /./],
    ["keeps its deadline", "never", 50, DEADLINE_EXCEEDED, /./],
    ["fails with INTERNAL for an invalid request", Object.create(null), undefined, INTERNAL, /serialization/],
  ])("%s", async (_, service, timeoutMs, code, details) => {
    const options = timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
    expect(await failing({ service }, options)).toMatchObject({
      code,
      details: expect.stringMatching(details),
    });
  });
});

describe("a server stream", () => {
  const collect = async (call: grpc.ClientReadableStream<HealthCheckResponse>) => {
    const statuses: Status[] = [];
    call.on("data", ({ status }: HealthCheckResponse) => statuses.push(status));
    const code = await new Promise<grpc.status>((resolve) => {
      call.on("error", () => {}).on("status", ({ code }: grpc.StatusObject) => resolve(code));
    });
    return [code, statuses];
  };

  test("accepts metadata, options, both or neither, and yields every message", async () => {
    const client = await servingHealth();
    const metadata = new grpc.Metadata();
    const messages = [Status.SERVING, Status.NOT_SERVING];
    const calls = [
      client.watch({}),
      client.watch({}, metadata),
      client.watch({}, { deadline: Infinity }),
      client.watch({}, metadata, { deadline: Infinity }),
    ];
    for (const call of calls) expect(await collect(call)).toEqual([grpc.status.OK, messages]);
    const failing = client.watch({ service: "no" });
    expect(await collect(failing), "before a failure too").toEqual([grpc.status.NOT_FOUND, messages]);
  });
});

test("a bidirectional stream sends and receives in turn", async () => {
  const { port } = await serving((router) =>
    router.service(ServerReflection, {
      async *serverReflectionInfo(requests) {
        for await (const { host } of requests) yield { validHost: `${host}!` };
      },
    }),
  );
  const call = connected(ServerReflection, port).serverReflectionInfo();
  const answers: AsyncIterator<ServerReflectionResponse> = call[Symbol.asyncIterator]();
  for (const host of ["a", "b"]) {
    call.write({ host });
    expect((await answers.next()).value).toMatchObject({ validHost: `${host}!` });
  }
  call.end();
  expect((await answers.next()).done).toBe(true);
});

/** Builds a service with a client stream, because no generated one has it. */
function collectService(rpc: string): DescService {
  const inputType = ".grpc.health.v1.HealthCheckRequest";
  const file = create(FileDescriptorProtoSchema, {
    name: "test/collect.proto",
    package: "test",
    dependency: [Health.file.proto.name],
    service: [
      { name: "Collect", method: [{ name: rpc, inputType, outputType: inputType, clientStreaming: true }] },
    ],
  });
  const service = createFileRegistry(file, () => Health.file).getService("test.Collect");
  if (service === undefined) throw new Error("the registry has no test.Collect");
  return service;
}

test("a client stream ends with one answer from a grpc-js server with the same definition", async () => {
  const service = collectService("Join");
  const server = new grpc.Server();
  onTestFinished(() => server.forceShutdown());
  server.addService(grpcServiceDefinition(service), {
    join(
      call: grpc.ServerReadableStream<HealthCheckRequest, unknown>,
      callback: grpc.sendUnaryData<unknown>,
    ) {
      const names: string[] = [];
      call.on("data", (request: HealthCheckRequest) => names.push(request.service));
      call.on("end", () => callback(null, { service: names.join("+") }));
    },
  });
  const credentials = grpc.ServerCredentials.createInsecure();
  const port = await promisify(server.bindAsync.bind(server))("127.0.0.1:0", credentials);
  const client = connected(service, port);
  type Join = (callback: GrpcCallback<DescMessage>) => grpc.ClientWritableStream<{ service: string }>;
  const response = await answerTo((done) => {
    const call = (client["join"] as unknown as Join).call(client, done);
    for (const name of ["a", "b", "c"]) call.write({ service: name });
    call.end();
  });
  expect(response).toMatchObject({ $typeName: "grpc.health.v1.HealthCheckRequest", service: "a+b+c" });
});

test("rejects an RPC that would hide a method of every client", () => {
  expect(() => grpcClient(collectService("Close"), "127.0.0.1:1", grpc.credentials.createInsecure())).toThrow(
    'test.Collect: the RPC "close" would hide the method "close" of every grpc-js client',
  );
});

test("types follow the descriptors", () => {
  type Client = GrpcClient<typeof Health>;
  expectTypeOf<Client>().toExtend<grpc.Client>();
  expectTypeOf<ReturnType<Client["check"]>>().toEqualTypeOf<grpc.ClientUnaryCall>();
  expectTypeOf<ReturnType<Client["watch"]>>().toEqualTypeOf<grpc.ClientReadableStream<HealthCheckResponse>>();
  expectTypeOf<ReturnType<GrpcClient<typeof ServerReflection>["serverReflectionInfo"]>>().toExtend<
    grpc.ClientDuplexStream<{ host: string }, ServerReflectionResponse>
  >();
  const definition = grpcServiceDefinition(Health);
  expectTypeOf(definition.check).toEqualTypeOf<
    grpc.MethodDefinition<HealthCheckRequest, HealthCheckResponse>
  >();
  expectTypeOf(definition).toExtend<grpc.ServiceDefinition>();
  const wrong = (client: Client) => {
    // @ts-expect-error there is no such RPC
    client.chek({});
    // @ts-expect-error there is no such field
    client.watch({ serivce: "" });
    // @ts-expect-error a unary call needs a callback
    client.check({ service: "" });
    client.check({}, (error, response) => {
      expectTypeOf(error).toEqualTypeOf<grpc.ServiceError | null>();
      expectTypeOf(response).toEqualTypeOf<HealthCheckResponse | undefined>();
    });
  };
  expectTypeOf(wrong).toBeFunction();
});
