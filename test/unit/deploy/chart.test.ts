import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { type LoadResult, loadConfig } from "../../../src/config/load.ts";
import { kubernetesTools } from "../../kubernetesTools.ts";
import { type KubernetesObject, objectsIn, ROOT, schemaErrors } from "./kubernetesObjects.ts";

/** The Helm chart with the real helm: what it renders is what Kubernetes takes, and the configuration in it is what the relay takes. */
const CHART = join(ROOT, "deploy", "helm", "dane-relay");
const tools = { helm: "", kubectl: "" };

type Values = Readonly<Record<string, unknown>>;
const NEEDED = { hostname: "relay.example.org", submission: { trustedNetworks: ["10.0.0.0/8"] } };
const SECRETS = {
  hostname: "relay.example.org",
  submission: { usersSecret: { name: "users" }, tls: { secretName: "tls" } },
  admin: { tokenSecret: { name: "token" } },
};
const MONITORED = { serviceMonitor: { enabled: true }, prometheusRule: { enabled: true }, dashboard: { enabled: true } };
const SHARED = { spool: { kind: "postgres", postgres: { secretName: "database" } } };

const GOOD: Readonly<Record<string, { values: Values; kinds: readonly string[] }>> = {
  "as little as possible": {
    values: NEEDED,
    kinds: ["ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "Service", "Service", "StatefulSet"],
  },
  "users, TLS, token, everything for Prometheus": {
    values: { ...SECRETS, ...MONITORED },
    kinds: [
      ...["ConfigMap", "ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "PrometheusRule"],
      ...["Service", "Service", "ServiceMonitor", "StatefulSet"],
    ],
  },
  "one queue in PostgreSQL, replicas by load": {
    values: { ...NEEDED, ...SHARED, autoscaling: { enabled: true } },
    kinds: ["ConfigMap", "Deployment", "HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget", "Service", "Service"],
  },
  "a fixed number of replicas on PostgreSQL": {
    values: { ...NEEDED, ...SHARED, replicas: 3 },
    kinds: ["ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service", "Service"],
  },
  "behind a load balancer, placed, without policy and budget": {
    values: {
      ...NEEDED,
      service: { type: "LoadBalancer", annotations: { "example.org/pool": "mail" } },
      networkPolicy: { enabled: false },
      podDisruptionBudget: { enabled: false },
      nodeSelector: { disk: "ssd" },
      tolerations: [{ key: "mail", operator: "Exists" }],
      topologySpreadConstraints: [
        { maxSkew: 1, topologyKey: "topology.kubernetes.io/zone", whenUnsatisfiable: "DoNotSchedule", labelSelector: {} },
      ],
      priorityClassName: "high",
      imagePullSecrets: [{ name: "registry" }],
      env: [{ name: "DANE_RELAY_LOG_LEVEL", value: "debug" }],
      config: {
        resolver: { forwardZones: [{ zone: "cluster.local", upstreams: ["10.96.0.10"] }], insecureZones: ["cluster.local"] },
      },
    },
    kinds: ["ConfigMap", "Service", "Service", "StatefulSet"],
  },
};

const BAD: readonly [string, Values, RegExp][] = [
  ["no hostname", { submission: NEEDED.submission }, /hostname is needed/],
  ["nobody may hand in mail", { hostname: "relay.example.org" }, /nobody could hand in mail/],
  [
    "passwords without TLS",
    { hostname: "relay.example.org", submission: { usersSecret: { name: "users" } } },
    /passwords are taken inside TLS only/,
  ],
  [
    "replicas by load on volumes of their own",
    { ...NEEDED, autoscaling: { enabled: true } },
    /autoscaling needs spool.kind: postgres/,
  ],
  ["PostgreSQL without its URL", { ...NEEDED, spool: { kind: "postgres" } }, /spool.postgres.secretName is needed/],
  ["a value that does not exist", { ...NEEDED, replicaCount: 3 }, /additional properties 'replicaCount' not allowed/],
  ["a spool of no known kind", { ...NEEDED, spool: { kind: "redis" } }, /\/spool\/kind/],
];

function render(values: Values): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(tools.helm, ["template", "mail", CHART, "--namespace", "post", "--values", "-"], {
    input: JSON.stringify(values),
    encoding: "utf8",
  });
}

function only(objects: readonly KubernetesObject[], kind: string, name: string): KubernetesObject {
  const found = objects.filter((object) => object.kind === kind && object.metadata.name === name);
  assert.equal(found.length, 1, `${kind} ${name}`);
  return found[0] as KubernetesObject;
}

type Container = { args: string[]; env: { name: string; value?: string }[]; volumeMounts: { mountPath: string }[] };
type PodSpec = { containers: [Container]; volumes?: { name: string }[]; securityContext: object };

function podOf(objects: readonly KubernetesObject[]): PodSpec {
  const workload = objects.find(({ kind }) => kind === "StatefulSet" || kind === "Deployment");
  return (workload as unknown as { spec: { template: { spec: PodSpec } } }).spec.template.spec;
}

/** The relay's own reading of the configuration, in the container's environment. */
function configurationIn(objects: readonly KubernetesObject[]): LoadResult {
  const { data } = only(objects, "ConfigMap", "mail-dane-relay") as unknown as { data: Record<string, string> };
  const env = podOf(objects).containers[0].env.map(({ name, value }) => [
    name,
    value ?? "postgres://relay:secret@database/relay",
  ]);
  const files: Readonly<Record<string, string>> = {
    "/etc/dane-relay/relay.yaml": data["relay.yaml"] ?? "",
    "/etc/dane-relay/admin/token": "0123456789abcdef".repeat(4),
  };
  return loadConfig({
    file: "/etc/dane-relay/relay.yaml",
    environment: Object.fromEntries(env),
    hostname: "mail-dane-relay-0",
    readFile: (path) => ({ kind: "text", text: files[path] ?? "nameserver 10.96.0.10\n" }),
  });
}

describe("the Helm chart", () => {
  before(() => {
    Object.assign(tools, kubernetesTools());
  });

  test("passes helm's lint, strictly", () => {
    const { status, stdout } = spawnSync(tools.helm, ["lint", "--strict", CHART, "--values", "-"], {
      input: JSON.stringify({ ...SECRETS, ...MONITORED }),
      encoding: "utf8",
    });
    assert.equal(status, 0, stdout);
  });

  for (const [name, { values, kinds }] of Object.entries(GOOD)) {
    test(`${name}: rendered, known to Kubernetes, taken by the relay`, async () => {
      const { status, stdout, stderr } = render(values);
      assert.equal(status, 0, stderr);
      const objects = objectsIn(stdout);
      assert.deepEqual(objects.map(({ kind }) => kind).sort(), [...kinds].sort());
      assert.equal(await schemaErrors(objects), "");
      const configuration = configurationIn(objects);
      assert.equal(configuration.kind, "config", JSON.stringify(configuration));
      const { containers, volumes = [] } = podOf(objects);
      const mounted = new Set(containers[0].volumeMounts.map(({ mountPath }) => mountPath));
      assert.ok(mounted.has("/etc/dane-relay/relay.yaml") && mounted.has("/var/spool/dane-relay"), [...mounted].join(" "));
      assert.equal(new Set(volumes.map((volume) => volume.name)).size, volumes.length);
    });
  }

  for (const [name, values, words] of BAD) {
    test(`${name}: refused in words`, () => {
      const { status, stderr } = render(values);
      assert.notEqual(status, 0);
      assert.match(stderr, words);
    });
  }

  test("a field that Kubernetes does not know is found", async () => {
    const objects = objectsIn(render(NEEDED).stdout);
    const pod = podOf(objects);
    Object.assign(pod.containers[0], { readynessProbe: {} });
    assert.match(await schemaErrors(objects), /readynessProbe/);
  });

  test("a wrong type is found", async () => {
    const objects = objectsIn(render(NEEDED).stdout);
    const workload = objects.find(({ kind }) => kind === "StatefulSet") as unknown as { spec: { replicas: unknown } };
    workload.spec.replicas = "one";
    assert.match(await schemaErrors(objects), /replicas/);
  });

  test("a replica's volume outlives a scale-down, and only an operator's word changes that", () => {
    const policyOf = (values: Values): unknown =>
      (
        objectsIn(render(values).stdout).find(({ kind }) => kind === "StatefulSet") as unknown as {
          spec: { persistentVolumeClaimRetentionPolicy: unknown };
        }
      ).spec.persistentVolumeClaimRetentionPolicy;
    assert.deepEqual(policyOf(NEEDED), { whenScaled: "Retain", whenDeleted: "Retain" });
    assert.deepEqual(policyOf({ ...NEEDED, spool: { embedded: { whenScaled: "Delete" } } }), {
      whenScaled: "Delete",
      whenDeleted: "Retain",
    });
  });

  test("the rule object carries the alerts, and the dashboard's ConfigMap the dashboard", () => {
    const objects = objectsIn(render({ ...NEEDED, ...MONITORED }).stdout);
    const files = join(CHART, "files");
    const { spec } = only(objects, "PrometheusRule", "mail-dane-relay") as unknown as { spec: unknown };
    assert.deepEqual(spec, objectsIn(readFileSync(join(files, "alerts.yaml"), "utf8"))[0]);
    const { data } = only(objects, "ConfigMap", "mail-dane-relay-dashboard") as unknown as { data: Record<string, string> };
    assert.deepEqual(JSON.parse(data["dane-relay.json"] ?? ""), JSON.parse(readFileSync(join(files, "dashboard.json"), "utf8")));
  });

  test("the ServiceMonitor selects the Service of the replicas, and nothing else", () => {
    const objects = objectsIn(render({ ...NEEDED, ...MONITORED }).stdout);
    const { spec } = only(objects, "ServiceMonitor", "mail-dane-relay") as unknown as {
      spec: { selector: { matchLabels: Record<string, string> }; endpoints: { port: string }[] };
    };
    const wanted = Object.entries(spec.selector.matchLabels);
    const selected = objects.filter(
      ({ kind, metadata }) => kind === "Service" && wanted.every(([label, value]) => metadata.labels?.[label] === value),
    );
    assert.deepEqual(
      selected.map(({ metadata }) => metadata.name),
      ["mail-dane-relay-replicas"],
    );
    const { ports } = (selected[0] as unknown as { spec: { ports: { name: string }[] } }).spec;
    assert.deepEqual(
      ports.map(({ name }) => name),
      spec.endpoints.map(({ port }) => port),
    );
  });
});
