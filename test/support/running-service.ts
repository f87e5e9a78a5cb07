import { pino } from "pino";
import { afterAll, expect } from "vitest";
import { readConfig } from "../../src/server/config.ts";
import { type Service, startService } from "../../src/server/service.ts";
import { keepIssued, keepSaid } from "./output/output.ts";
import { createTestDatabase } from "./test-database.ts";

/** A line of the service's log. */
export type LogLine = Readonly<Record<string, unknown>>;

/** A service that runs in this process, on a port the system chose. */
export interface RunningService {
  /** `http://127.0.0.1:<port>`, without a slash at the end; `https` where the environment configures TLS. */
  readonly url: string;
  readonly port: number;
  readonly databaseUrl: string;
  /** Where its metrics are. */
  readonly metricsUrl: string;
  /** The bootstrap project, its credential, and the credential as an Authorization header. */
  readonly projectId: string;
  readonly secret: string;
  readonly basic: string;
  /** Everything it has logged so far. */
  readonly log: readonly LogLine[];
  /** Stops it before the end of the file; safe to call again. */
  stop(): Promise<void>;
}

/** What differs from a service of its own on an empty database. */
export interface RunningServiceOptions {
  /** Of another service's, which makes this one its replica; or one of the test's own. */
  readonly databaseUrl?: string;
  readonly projectId?: string;
  readonly now?: () => Date;
  /** More variables, as the command takes them. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Every test service has it, so that replicas can read each other's signing keys. */
export const testMasterKey = Buffer.alloc(32, "master key of tests").toString("base64");

const secret = "a-secret-that-only-tests-know";

/**
 * Starts a service for the tests of a file (at its top level, with `await`), and stops it after them. Its log must not hold
 * a secret, whatever the tests did: that fails the file.
 */
export async function runningService(options: RunningServiceOptions = {}): Promise<RunningService> {
  const started: { service?: Service; lines: string[]; drop?: () => Promise<void> } = { lines: [] };
  const stop = once(async () => {
    if (started.service === undefined) return;
    keepSaid("metrics", await (await fetch(metricsUrlOf(started.service))).text());
    await started.service.stop();
  });
  afterAll(async () => {
    await stop();
    await started.drop?.();
    expect(started.lines.join(""), "the log").not.toMatch(secretForms);
  });
  keepIssued({ kind: "a bootstrap secret", text: secret });
  keepIssued({ kind: "a master key", text: testMasterKey });
  const { databaseUrl = await ownDatabase(started), projectId = "project-test-wire" } = options;
  const read = readConfig({
    DATABASE_URL: databaseUrl,
    SESSIOND_LISTEN: "127.0.0.1:0",
    SESSIOND_METRICS_LISTEN: "127.0.0.1:0",
    SESSIOND_MASTER_KEY: testMasterKey,
    SESSIOND_BOOTSTRAP_PROJECT: `${projectId}:${secret}`,
    ...options.environment,
  });
  if ("problems" in read) throw new Error(read.problems.join("\n"));
  const write = (line: string) => {
    started.lines.push(line);
    keepSaid("log", line);
  };
  const log = pino({ level: "debug", base: null }, { write });
  const service = await startService(read.config, log, options.now);
  started.service = service;
  return {
    url: `${read.config.tls === undefined ? "http" : "https"}://127.0.0.1:${service.port}`,
    port: service.port,
    databaseUrl,
    metricsUrl: metricsUrlOf(service),
    projectId,
    secret,
    basic: basicAuthorization(projectId, secret),
    get log() {
      return started.lines.map((line): LogLine => JSON.parse(line));
    },
    stop,
  };
}

function metricsUrlOf({ metrics }: Service): string {
  if (metrics === undefined) throw new Error("a test's service has metrics");
  return `http://127.0.0.1:${metrics.port}/metrics`;
}

function once<T>(run: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => (running ??= run());
}

/** The Authorization header of a service. */
export function basicAuthorization(projectId: string, secret: string): string {
  return `Basic ${Buffer.from(`${projectId}:${secret}`).toString("base64")}`;
}

async function ownDatabase(started: { drop?: () => Promise<void> }): Promise<string> {
  const database = await createTestDatabase();
  started.drop = () => database.drop();
  return database.url;
}

/** Session tokens, service secrets, JWTs, Basic credentials, and the bootstrap secret. */
const secretForms = new RegExp(`(sst|ssk)_[\\w-]{20}|eyJ[\\w-]{10}|Basic [\\w+/]{10}|${secret}`);
