import { randomUUID } from "node:crypto";
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { beforeEach } from "vitest";
import { Environment, type Policy, type Project } from "../../../gen/session/v1/project_pb.ts";
import { ProjectService } from "../../../gen/session/v1/project_service_pb.ts";
import { type RunningService, runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf, withHeaders } from "../../support/fixtures/service-clients.ts";
import { must } from "../../support/fixtures/stored.ts";

/** Two replicas, and a project for each test of a file: `Shop`, for live use. */
export interface ProjectStage {
  readonly one: RunningService;
  readonly other: RunningService;
  /** Clients of one replica over different protocols, by name. */
  readonly clients: readonly [string, Client<typeof ProjectService>][];
  /** The id of the test's project. */
  readonly id: string;
  /** The project as the other replica reads it. */
  stored(id?: string): Promise<Project>;
  storedPolicy(): Promise<Policy>;
}

export async function setProjectStage(): Promise<ProjectStage> {
  const one = await runningService();
  const other = await runningService({ databaseUrl: one.databaseUrl });
  let id = "";
  beforeEach(async () => {
    id = `p-${randomUUID()}`;
    await projectsOf(one).createProject({ id, displayName: "Shop", environment: Environment.LIVE });
  });
  const stored = async (of = id) => must((await projectsOf(other).getProject({ id: of })).project);
  return {
    one,
    other,
    clients: [
      ["gRPC", projectsOf(one)],
      ["Connect with binary", connectClient(one, true)],
      ["Connect with JSON", connectClient(one, false)],
    ],
    get id() {
      return id;
    },
    stored,
    storedPolicy: async () => must((await stored()).policy),
  };
}

function connectClient({ url, basic }: RunningService, useBinaryFormat: boolean) {
  const interceptors = [withHeaders({ authorization: basic })];
  const options = { baseUrl: url, httpVersion: "1.1", useBinaryFormat, interceptors } as const;
  return createClient(ProjectService, createConnectTransport(options));
}

/** Changes a project, or its policy, over REST. */
export async function patch(
  { url, basic }: RunningService,
  path: string,
  body?: unknown,
): Promise<{ status: number; text: string }> {
  const answer = await fetch(`${url}/session/v1/projects/${path}`, {
    method: "PATCH",
    headers: { authorization: basic, ...(body !== undefined && { "content-type": "application/json" }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: answer.status, text: await answer.text() };
}

/** A duration. */
export const seconds = (count: number) => ({ seconds: BigInt(count) });
