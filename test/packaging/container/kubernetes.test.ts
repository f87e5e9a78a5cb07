import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { readConfig } from "../../../src/server/config/config.ts";
import { variableNames } from "../../../src/server/config/variables.ts";
import { testMasterKey } from "../../support/fixtures/running-service.ts";

interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly secretKeyRef: { readonly name: string; readonly key: string } };
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string; readonly scheme: string };
}

interface Manifests {
  readonly deployment: {
    readonly replicas: number;
    readonly strategy: { readonly rollingUpdate: object };
    readonly selector: { readonly matchLabels: object };
    readonly template: {
      readonly metadata: { readonly labels: object };
      readonly spec: {
        readonly terminationGracePeriodSeconds: number;
        readonly securityContext: object;
        readonly containers: readonly [
          {
            readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
            readonly env: readonly Variable[];
            readonly startupProbe: Probe;
            readonly readinessProbe: Probe;
            readonly livenessProbe: Probe;
            readonly lifecycle: {
              readonly preStop: { readonly exec: { readonly command: [string, string] } };
            };
            readonly securityContext: object;
            readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
          },
        ];
        readonly volumes: readonly { readonly name: string; readonly secret: object }[];
      };
    };
  };
  readonly budget: { readonly maxUnavailable: number; readonly selector: { readonly matchLabels: object } };
  readonly service: {
    readonly selector: object;
    readonly ports: readonly { readonly port: number; readonly targetPort: string }[];
  };
}

// Kubernetes reads YAML 1.1, in which `yes` is a boolean.
const parsed = [...parseAllDocuments(readFileSync(".kubernetes/sessiond.yaml", "utf8"), { version: "1.1" })];
const documents = parsed.map((document): { readonly kind: string; readonly spec: never } => document.toJS());
const specOf = (kind: string) =>
  documents.filter((document) => document.kind === kind).map(({ spec }) => spec);
const [deployment] = specOf("Deployment") as readonly Manifests["deployment"][];
const [budget] = specOf("PodDisruptionBudget") as readonly Manifests["budget"][];
const [service] = specOf("Service") as readonly Manifests["service"][];
if (deployment === undefined || budget === undefined || service === undefined) throw new Error("incomplete");
const pod = deployment.template.spec;
const [container] = pod.containers;

const secrets: Readonly<Record<string, string>> = {
  "database-url": "postgres://sessiond@db.example/sessiond",
  "master-key": testMasterKey,
};

const environment = Object.fromEntries(
  container.env.map(({ name, value, valueFrom }) => [
    name,
    value ?? secrets[valueFrom?.secretKeyRef.key ?? ""],
  ]),
);

test("the file is valid YAML", () => {
  expect(parsed.flatMap(({ errors, warnings }) => [...errors, ...warnings])).toEqual([]);
});

test("the environment is a valid configuration with TLS", () => {
  expect(variableNames).toEqual(expect.arrayContaining(Object.keys(environment)));
  const read = readConfig(environment);
  if ("problems" in read) throw new Error(read.problems.join("\n"));
  expect(read.warnings).toEqual([]);
  const { config } = read;
  expect(config.listen).toEqual({ host: undefined, port: container.ports[0]?.containerPort });
  expect(config.metricsListen).toEqual({ host: undefined, port: container.ports[1]?.containerPort });
  const [mount] = container.volumeMounts;
  expect(pod.volumes.map(({ name }) => name)).toEqual([mount?.name]);
  for (const file of [config.tls?.certFile, config.tls?.keyFile, config.tls?.clientCaFile]) {
    expect(file).toMatch(new RegExp(`^${mount?.mountPath}/(tls.crt|tls.key|ca.crt)$`));
  }
});

test.each(container.env)(
  "$name is in a secret only if it is one; other values are strings",
  ({ name, value }) => {
    const isSecret = ["DATABASE_URL", "SESSIOND_MASTER_KEY"].includes(name);
    expect(typeof value).toBe(isSecret ? "undefined" : "string");
  },
);

test("the termination grace period covers a shutdown of the service", () => {
  const read = readConfig(environment);
  if ("problems" in read) throw new Error(read.problems.join("\n"));
  const { shutdownGraceMs, connectTimeoutMs, statementTimeoutMs } = read.config;
  const [sleep, seconds] = container.lifecycle.preStop.exec.command;
  expect(sleep).toBe("sleep");
  const longest = Number(seconds) * 1000 + shutdownGraceMs + connectTimeoutMs + statementTimeoutMs;
  expect(pod.terminationGracePeriodSeconds * 1000).toBeGreaterThan(longest);
});

test("probes use TLS; only the readiness probe depends on the database", () => {
  const get = (path: string) => ({ path, port: container.ports[0]?.name, scheme: "HTTPS" });
  expect(container.startupProbe.httpGet).toEqual(get("/livez"));
  expect(container.readinessProbe.httpGet).toEqual(get("/healthz"));
  expect(container.livenessProbe.httpGet).toEqual(get("/livez"));
});

test("an update keeps all replicas available; every selector matches the pods", () => {
  expect(deployment.replicas).toBeGreaterThan(1);
  expect(deployment.strategy.rollingUpdate).toEqual({ maxSurge: 1, maxUnavailable: 0 });
  expect(budget.maxUnavailable).toBeLessThan(deployment.replicas);
  const { labels } = deployment.template.metadata;
  expect([deployment.selector.matchLabels, budget.selector.matchLabels, service.selector]).toEqual([
    labels,
    labels,
    labels,
  ]);
  expect(service.ports[0]).toMatchObject({
    port: container.ports[0]?.containerPort,
    targetPort: container.ports[0]?.name,
  });
});

test("runs as an unprivileged user, on a read-only root, without capabilities", () => {
  expect(pod.securityContext).toMatchObject({
    runAsNonRoot: true,
    runAsUser: 1000,
    seccompProfile: { type: "RuntimeDefault" },
  });
  expect(container.securityContext).toEqual({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  });
});
