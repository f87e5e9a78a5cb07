import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { readConfig } from "../../../src/server/config/config.ts";
import { variableNames } from "../../../src/server/config/variables.ts";
import { testMasterKey } from "../../support/fixtures/running-service.ts";
import { readYaml } from "./yaml.ts";

interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly secretKeyRef: { readonly name: string; readonly key: string } };
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string; readonly scheme: string };
}

/** What the tests look at. */
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

const documents = readYaml(readFileSync(".kubernetes/sessiond.yaml", "utf8")) as unknown as readonly {
  readonly kind: string;
  readonly spec: never;
}[];
const specOf = (kind: string) =>
  documents.filter((document) => document.kind === kind).map(({ spec }) => spec);
const [deployment] = specOf("Deployment") as readonly Manifests["deployment"][];
const [budget] = specOf("PodDisruptionBudget") as readonly Manifests["budget"][];
const [service] = specOf("Service") as readonly Manifests["service"][];
if (deployment === undefined || budget === undefined || service === undefined) throw new Error("incomplete");
const pod = deployment.template.spec;
const [container] = pod.containers;

/** Stands in for what the secrets hold. */
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

test("the environment is one that the service starts with, TLS and all", () => {
  expect(variableNames).toEqual(expect.arrayContaining(Object.keys(environment)));
  const read = readConfig(environment);
  if ("problems" in read) throw new Error(read.problems.join("\n"));
  expect(read.warnings).toEqual([]);
  const { config } = read;
  expect(config.listen).toEqual({ host: "::", port: container.ports[0]?.containerPort });
  expect(config.metricsListen).toEqual({ host: "::", port: container.ports[1]?.containerPort });
  const [mount] = container.volumeMounts;
  expect(pod.volumes.map(({ name }) => name)).toEqual([mount?.name]);
  for (const file of [config.tls?.certFile, config.tls?.keyFile, config.tls?.clientCaFile]) {
    expect(file).toMatch(new RegExp(`^${mount?.mountPath}/(tls.crt|tls.key|ca.crt)$`));
  }
});

test("what is secret is in secrets alone", () => {
  for (const { name, value } of container.env) {
    expect(value === undefined).toBe(["DATABASE_URL", "SESSIOND_MASTER_KEY"].includes(name));
  }
});

test("a pod may take as long to end as the service does", () => {
  const read = readConfig(environment);
  if ("problems" in read) throw new Error(read.problems.join("\n"));
  const { shutdownGraceMs, connectTimeoutMs, statementTimeoutMs } = read.config;
  const [sleep, seconds] = container.lifecycle.preStop.exec.command;
  expect(sleep).toBe("sleep");
  const longest = Number(seconds) * 1000 + shutdownGraceMs + connectTimeoutMs + statementTimeoutMs;
  expect(pod.terminationGracePeriodSeconds * 1000).toBeGreaterThan(longest);
});

test("probes ask over TLS; only readiness asks for health, which the database is part of", () => {
  const get = (path: string) => ({ path, port: container.ports[0]?.name, scheme: "HTTPS" });
  expect(container.startupProbe.httpGet).toEqual(get("/livez"));
  expect(container.readinessProbe.httpGet).toEqual(get("/healthz"));
  expect(container.livenessProbe.httpGet).toEqual(get("/livez"));
});

test("an update never has fewer replicas than wanted, and what selects them does", () => {
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

test("it runs as nobody in particular, on a root that cannot be written, without capabilities", () => {
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

test.each([
  ["a value that YAML 1.1 takes for a truth", "a: yes"],
  ["a tab", "a:\n\tb: c"],
  ["an indentation of its own", "a:\n   b: c"],
  ["a key twice", "a: b\na: c"],
  ["a text over several lines", "a: |\n  b"],
  ["a key without a value", "a:\nb: c"],
  ["an anchor", "a: &b c"],
  ["two values in one place", "a: b: c"],
])("the reader of manifests refuses %s", (_, text) => {
  expect(() => readYaml(text)).toThrow(/is not understood/);
});

test("the reader of manifests reads what they are made of", () => {
  const text = `# a comment\n---\na: 1 # one\nb:\n  - c: "d # e"\n    f: true\n  - [1, "x"]\ng.h/i:\n  j: k-l\n`;
  expect(readYaml(text.replace(" # e", ""))).toEqual([
    { a: 1, b: [{ c: "d", f: true }, [1, "x"]], "g.h/i": { j: "k-l" } },
  ]);
});
