import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { bufCurl } from "../../support/process/command.ts";
import { newLogin, verdictOn } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";

const service = await runningService();
const credential = ["-u", `${service.projectId}:${service.secret}`];
const h2c = "--http2-prior-knowledge";

describe.each(["grpc-v1", "grpc-v1alpha"])("reflection %s", (reflection) => {
  const reflect = ["--reflect-protocol", reflection, h2c];

  test("lists services and methods", async () => {
    const { stdout } = await bufCurl(...reflect, "--list-services", service.url);
    expect(stdout.trim().split("\n").toSorted()).toEqual([
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
      "session.v1.ProjectService",
      "session.v1.SessionService",
    ]);
    const methods = await bufCurl(...reflect, "--list-methods", service.url);
    expect(methods.stdout.trim().split("\n")).toEqual(
      expect.arrayContaining(["session.v1.SessionService/RevokeAll", "session.v1.ProjectService/GetJwks"]),
    );
  });

  test.each(["grpc", "grpcweb", "connect"])("a call over %s", async (protocol) => {
    const login = await newLogin(service);
    const call = (method: string, data: object) => {
      const options = [...reflect, "--protocol", protocol, ...credential, "-d", JSON.stringify(data)];
      return bufCurl(...options, `${service.url}/session.v1.SessionService/${method}`);
    };
    const { status, stdout } = await call("Authenticate", { token: login.token });
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      session: { id: login.id, memberId: login.memberId, state: "SESSION_STATE_ACTIVE" },
    });
    const revoked = JSON.parse(
      (await call("Revoke", { token: login.token, cause: "REVOCATION_CAUSE_LOGOUT" })).stdout,
    );
    expect(revoked).toMatchObject({ revokedCount: "1" });
    const refused = await call("Authenticate", { token: login.token });
    // buf's exit status is eight times the code: UNAUTHENTICATED is 16.
    expect(refused.status).toBe(16 * 8);
    const { details } = JSON.parse(refused.stderr) as { details: [{ type: string; value: string }] };
    const info = fromBinary(ErrorInfoSchema, Buffer.from(details[0].value, "base64"));
    expect(info).toMatchObject({ reason: "SESSION_REVOKED", domain: "sessiond" });
    expect(refused.stderr).not.toContain(login.token);
    expect(await verdictOn(service, login)).toBe("SESSION_REVOKED");
  });
});

test.each(["grpcweb", "connect"])(
  "over HTTP/1.1 with a schema instead of reflection, %s",
  async (protocol) => {
    const { memberId, token } = await newLogin(service);
    const options = ["--schema", "proto", "--protocol", protocol, "-H", `authorization: Bearer ${token}`];
    const url = `${service.url}/session.v1.SessionService/List`;
    const { status, stdout } = await bufCurl(...options, "-d", "{}", url);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ sessions: [{ memberId, current: true }] });
  },
);
