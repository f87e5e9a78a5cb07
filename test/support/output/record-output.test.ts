import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { expect, test, vi } from "vitest";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { newLogin } from "../fixtures/logins.ts";
import { patience } from "../patience.ts";
import { runningService } from "../fixtures/running-service.ts";
import { sessionsOf, withHeaders } from "../fixtures/service-clients.ts";
import { type Output, type Secret, flush, outputVariable } from "./output.ts";

const service = await runningService();
const interceptors = [withHeaders({ authorization: service.basic })];

/** Records of this process. */
function kept<T>(what: "output" | "secrets"): readonly T[] {
  flush();
  const file = join(process.env[outputVariable] ?? "", `${what}-${process.pid}.jsonl`);
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  return lines.map((line): T => JSON.parse(line));
}

test("records every issued secret, for every kind of client", async () => {
  const clients = [sessionsOf(service), connected("1.1"), overWeb()];
  const created = await Promise.all(clients.map((client) => client.create({ memberId: "ada" })));
  const texts = kept<Secret>("secrets").map((issued) => ("text" in issued ? issued.text : ""));
  for (const { token, jwt } of created) expect(texts).toEqual(expect.arrayContaining([token, jwt]));
  expect(texts).toContain(service.secret);
});

test.each([
  ["gRPC", () => sessionsOf(service), "error answer"],
  ["Connect", () => connected("1.1"), "error answer"],
  ["Connect over HTTP/2", () => connected("2"), "error answer"],
  ["gRPC-Web", () => overWeb(), "end of a stream"],
] as const)("records error answers of %s, and the log", async (_, client, source) => {
  const before = kept<Output>("output").length;
  const id = randomUUID();
  const revoking = client().revoke(
    { target: { case: "id", value: "no-uuid" } },
    { headers: { "x-request-id": id } },
  );
  await expect(revoking).rejects.toThrow("must be a UUID");
  const recorded = () => kept<Output>("output").slice(before);
  await vi.waitUntil(() => recorded().length >= 2, patience);
  expect(recorded()).toEqual(
    expect.arrayContaining([
      {
        file: "test/support/output/record-output.test.ts",
        source,
        text: expect.stringMatching(/must( |%20)be\1a\1UUID/),
      },
      expect.objectContaining({ source: "log", text: expect.stringContaining(id) }),
    ]),
  );
});

function overWeb() {
  const transport = createGrpcWebTransport({ baseUrl: service.url, httpVersion: "1.1", interceptors });
  return createClient(SessionService, transport);
}

function connected(httpVersion: "1.1" | "2") {
  return createClient(
    SessionService,
    createConnectTransport({ baseUrl: service.url, httpVersion, interceptors }),
  );
}

test("records error answers of REST", async () => {
  const { id } = await newLogin(service);
  const answer = await fetch(`${service.url}/sessions/${id}/revoke`, {
    method: "POST",
    headers: { "x-request-id": id },
  });
  expect(answer.status).toBe(401);
  const isKept = ({ source, text }: Output) => source === "error answer" && text.includes(id);
  await vi.waitUntil(() => kept<Output>("output").some(isKept), patience);
  expect(kept<Output>("output").filter(isKept)).toHaveLength(1);
});
