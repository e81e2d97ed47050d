import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { type LoadResult, loadConfig } from "../../../src/config/load.ts";
import type { Config } from "../../../src/config/schema.ts";
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
const FILES = {
  submission: {
    trustedNetworks: [],
    tls: { secretName: "tls", clientCa: { configMap: "clients" } },
  },
  dkim: {
    sign: [
      { domain: "example.org", selector: "relay2026", secret: { name: "dkim", key: "rsa.pem" } },
      { domain: ".example.org", selector: "ed2026", secret: { name: "dkim", key: "ed.pem" } },
    ],
  },
  files: [
    { name: "smarthost-password", secret: { name: "smarthost", key: "password" } },
    { name: "database-password", secret: { name: "database", key: "password" } },
    { name: "tlsrpt.pem", secret: { name: "dkim", key: "tlsrpt.pem" } },
    { name: "policy-ca.pem", configMap: { name: "trust", key: "ca.crt" } },
    { name: "anchors", configMap: { name: "dns", key: "anchors" } },
    { name: "hints", configMap: { name: "dns", key: "hints" } },
  ],
  config: {
    submission: { tls: { clientNames: ["shop.example.org"] } },
    postgres: { passwordFile: "/etc/dane-relay/files/database-password" },
    resolver: { trustAnchorFile: "/etc/dane-relay/files/anchors", rootHintsFile: "/etc/dane-relay/files/hints" },
    delivery: {
      routes: [
        {
          domain: "*",
          nextHop: "smtp.example.org:587",
          auth: { username: "relay", passwordFile: "/etc/dane-relay/files/smarthost-password" },
        },
      ],
    },
    mtaSts: { caFile: "/etc/dane-relay/files/policy-ca.pem" },
    tlsrpt: { contact: "postmaster@example.org" },
    dkim: { domain: "example.org", selector: "tlsrpt", keyFile: "/etc/dane-relay/files/tlsrpt.pem" },
  },
};
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
  "every file that a setting can name": {
    values: { ...SECRETS, ...SHARED, ...FILES, submission: { ...SECRETS.submission, ...FILES.submission } },
    kinds: ["ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service", "Service"],
  },
  "other ports, IPv6, a load balancer behind the policy, several processes": {
    values: {
      ...SECRETS,
      bindAddress: "[::]",
      submission: { ...SECRETS.submission, port: 587, tls: { secretName: "tls", implicitPort: 465 } },
      admin: { port: 9100 },
      service: { type: "LoadBalancer", loadBalancerSourceRanges: ["192.0.2.0/24"] },
      networkPolicy: {
        submissionFrom: [{ ipBlock: { cidr: "192.0.2.0/24" } }],
        extraEgress: [{ ports: [{ port: 5353, protocol: "UDP" }] }],
      },
      config: { workers: 4, delivery: { drain: "queue", drainSeconds: 60 } },
    },
    kinds: ["ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "Service", "Service", "StatefulSet"],
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
  [
    "a CA of clients without TLS",
    { hostname: "relay.example.org", submission: { tls: { clientCa: { secret: "clients" } } } },
    /certificates are shown inside TLS only/,
  ],
  [
    "a CA of clients in two places",
    { ...SECRETS, submission: { ...SECRETS.submission, tls: { secretName: "tls", clientCa: { secret: "a", configMap: "b" } } } },
    /either in a secret or in a configMap/,
  ],
  [
    "a file that nobody brings",
    { ...NEEDED, config: { resolver: { trustAnchorFile: "/etc/dane-relay/files/anchors" } } },
    /config names \/etc\/dane-relay\/files\/anchors, which is none of files/,
  ],
  ["a file that comes from nowhere", { ...NEEDED, files: [{ name: "anchors" }] }, /\/files\/0/],
  [
    "a file outside of its directory",
    { ...NEEDED, files: [{ name: "../x", configMap: { name: "a", key: "b" } }] },
    /\/files\/0\/name/,
  ],
  [
    "a load balancer whose clients the policy keeps out",
    { ...NEEDED, service: { type: "LoadBalancer" } },
    /set networkPolicy\.submissionFrom/,
  ],
  [
    "a drain that is cut off",
    { ...NEEDED, terminationGracePeriodSeconds: 30, config: { delivery: { drain: "queue" } } },
    /are 35 s, and terminationGracePeriodSeconds is less/,
  ],
  [
    "replicas by a share of nothing",
    { ...NEEDED, ...SHARED, autoscaling: { enabled: true }, resources: { requests: { cpu: null } } },
    /goes by a share of resources\.requests\.cpu/,
  ],
  [
    "fewer replicas at most than at least",
    { ...NEEDED, ...SHARED, autoscaling: { enabled: true, minReplicas: 8 } },
    /minReplicas is more than maxReplicas/,
  ],
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

type Mount = { name: string; mountPath: string; subPath?: string; readOnly?: boolean };
type Container = {
  args: string[];
  env: { name: string; value?: string }[];
  ports: { name: string; containerPort: number }[];
  volumeMounts: Mount[];
};
type Item = { key: string; path: string };
type Source = Partial<Record<"secret" | "configMap", { name?: string; secretName?: string; items?: Item[] }>>;
type Volume = { name: string; emptyDir?: object; projected?: { sources: Source[] } } & Source;
type PodSpec = { containers: [Container]; volumes?: Volume[]; securityContext: object };

function podOf(objects: readonly KubernetesObject[]): PodSpec {
  const workload = objects.find(({ kind }) => kind === "StatefulSet" || kind === "Deployment");
  return (workload as unknown as { spec: { template: { spec: PodSpec } } }).spec.template.spec;
}

/** What the image has in its environment: the container's own comes on top, and all of it goes before relay.yaml. */
function imageEnvironment(): readonly [string, string][] {
  const dockerfile = readFileSync(join(ROOT, "deploy", "Dockerfile"), "utf8").replaceAll(/\\\n */g, "");
  const [, settings = ""] = /^ENV (.*)$/m.exec(dockerfile) ?? [];
  return settings.split(" ").map((one): [string, string] => [one.slice(0, one.indexOf("=")), one.slice(one.indexOf("=") + 1)]);
}

/** The files that volumes bring, by their path in the container. */
function mountedFiles({ containers: [container], volumes = [] }: PodSpec): ReadonlySet<string> {
  const brought = (volume: Volume): readonly string[] =>
    [volume, ...(volume.projected?.sources ?? [])].flatMap(({ secret, configMap }) => {
      const source = secret ?? configMap;
      // Of type kubernetes.io/tls.
      return source === undefined ? [] : (source.items?.map(({ path }) => path) ?? ["tls.crt", "tls.key", "relay.yaml"]);
    });
  return new Set(
    container.volumeMounts.flatMap(({ name, mountPath, subPath }) =>
      subPath !== undefined
        ? [mountPath]
        : volumes
            .filter((volume) => volume.name === name)
            .flatMap((volume) => brought(volume).map((path) => `${mountPath}/${path}`)),
    ),
  );
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
    environment: Object.fromEntries([...imageEnvironment(), ...env]),
    hostname: "mail-dane-relay-0",
    readFile: (path) => ({ kind: "text", text: files[path] ?? "nameserver 10.96.0.10\n" }),
  });
}

/** Each file that a setting names is mounted; the relay listens where container, Service, probes and NetworkPolicy expect it. */
function holdsTogether(objects: readonly KubernetesObject[], config: Config): void {
  const pod = podOf(objects);
  const files = mountedFiles(pod);
  const named = JSON.stringify(config).matchAll(/"(\/etc\/dane-relay\/[^"]+)"/g);
  for (const [, file = ""] of named) assert.ok(files.has(file), `${file} is not mounted: ${[...files].join(" ")}`);
  for (const { name, mountPath, readOnly } of pod.containers[0].volumeMounts)
    assert.equal(readOnly === true, mountPath.startsWith("/etc/"), name);
  const listening = {
    submission: config.submission.listen[0]?.port,
    submissions: config.submission.tls.listen[0]?.port,
    admin: config.admin.listen.port,
  };
  const { ports } = pod.containers[0];
  for (const name of ["submission", "submissions", "admin"] as const)
    assert.equal(ports.find((port) => port.name === name)?.containerPort, listening[name], name);
  const services = objects.filter(({ kind }) => kind === "Service") as unknown as { spec: { ports: { targetPort: string }[] } }[];
  const reached = services.flatMap(({ spec }) => spec.ports.map(({ targetPort }) => targetPort));
  assert.deepEqual(reached.sort(), ports.map(({ name }) => name).sort());
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
      assert.ok(mounted.has("/tmp"), "the root is read-only");
      assert.equal(new Set(volumes.map((volume) => volume.name)).size, volumes.length);
      if (configuration.kind === "config") holdsTogether(objects, configuration.config);
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

  test("the policy lets out what the relay needs: DNS from the root down, mail, MTA-STS and reports, its database; and in, who may", () => {
    const policyOf = (values: Values): unknown =>
      (only(objectsIn(render(values).stdout), "NetworkPolicy", "mail-dane-relay") as unknown as { spec: object }).spec;
    const tcp = (...ports: readonly number[]): object[] => ports.map((port) => ({ port, protocol: "TCP" }));
    const dns = { ports: [{ port: 53, protocol: "UDP" }, ...tcp(53, 853)] };
    const mail = { ports: tcp(25, 465, 587, 443) };
    const here = [{ podSelector: {} }];
    const { egress, ingress } = policyOf(NEEDED) as { egress: object[]; ingress: object[] };
    // Without `to`: anywhere.
    assert.deepEqual(egress, [dns, mail]);
    assert.deepEqual(ingress, [
      { from: here, ports: [{ port: "submission" }] },
      { from: here, ports: [{ port: "admin" }] },
    ]);
    const extraEgress = [{ ports: [{ port: 5353, protocol: "UDP" }] }];
    const shared = { spool: { kind: "postgres", postgres: { secretName: "database", port: 6432 } } };
    const more = policyOf({ ...NEEDED, ...shared, networkPolicy: { deliveryPorts: [25, 2525], extraEgress } }) as {
      egress: object[];
    };
    assert.deepEqual(more.egress, [dns, { ports: tcp(25, 2525, 443) }, { ports: tcp(6432) }, ...extraEgress]);
  });

  test("scraped by annotations or by the ServiceMonitor, never by both", () => {
    const annotationsOf = (values: Values): Record<string, string> => {
      const workload = objectsIn(render(values).stdout).find(({ kind }) => kind === "StatefulSet");
      return (workload as unknown as { spec: { template: { metadata: { annotations: Record<string, string> } } } }).spec.template
        .metadata.annotations;
    };
    const [, ...scraped] = Object.entries(annotationsOf({ ...NEEDED, admin: { port: 9100 } }));
    assert.deepEqual(Object.fromEntries(scraped), {
      "prometheus.io/scrape": "true",
      "prometheus.io/port": "9100",
      "prometheus.io/path": "/metrics",
    });
    assert.deepEqual(Object.keys(annotationsOf({ ...NEEDED, ...MONITORED })), ["checksum/configuration"]);
    const own = annotationsOf({ ...NEEDED, scrapeAnnotations: false, podAnnotations: { a: "b" } });
    assert.deepEqual(Object.keys(own), ["checksum/configuration", "a"]);
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
