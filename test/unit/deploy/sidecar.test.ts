import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { loadConfig } from "../../../src/config/load.ts";
import { kubernetesTools } from "../../kubernetesTools.ts";
import { objectsIn, ROOT, schemaErrors } from "./kubernetesObjects.ts";

type Container = {
  name: string;
  restartPolicy?: string;
  env: { name: string; value: string }[];
  readinessProbe?: object;
  startupProbe: { httpGet: { path: string } };
  livenessProbe: { httpGet: { path: string } };
};
type Workload = { spec: { template: { spec: { containers: Container[]; initContainers: Container[] } } } };

const DEPLOY = join(ROOT, "deploy");

function kustomized(): string {
  const { status, stdout, stderr } = spawnSync(kubernetesTools().kubectl, ["kustomize", join(DEPLOY, "kustomize", "example")], {
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  return stdout;
}

test("the component puts the relay beside an application, as Kubernetes and the relay understand it", async () => {
  const objects = objectsIn(kustomized());
  assert.equal(await schemaErrors(objects), "");
  const { containers, initContainers } = (objects[0] as unknown as Workload).spec.template.spec;
  assert.deepEqual(
    containers.map(({ name }) => name),
    ["shop"],
  );
  const [relay] = initContainers;
  assert.ok(relay !== undefined);
  assert.equal(relay.restartPolicy, "Always");
  const loaded = loadConfig({
    environment: Object.fromEntries(relay.env.map(({ name, value }) => [name, value])),
    hostname: "shop-1",
    readFile: (path) => (path === "/etc/resolv.conf" ? { kind: "text", text: "nameserver 10.96.0.10\n" } : { kind: "missing" }),
  });
  assert.equal(loaded.kind, "config", JSON.stringify(loaded));
  if (loaded.kind !== "config") return;
  assert.deepEqual(loaded.config.submission.listen, [{ address: "127.0.0.1", port: 2525 }]);
  assert.equal(loaded.config.delivery.drain, "queue");
});

test("no probe takes the application out of service because DNSSEC is broken", () => {
  const [relay] = (objectsIn(kustomized())[0] as unknown as Workload).spec.template.spec.initContainers;
  assert.equal(relay?.readinessProbe, undefined);
  assert.equal(relay?.startupProbe.httpGet.path, "/readyz");
  assert.equal(relay?.livenessProbe.httpGet.path, "/livez");
});

test("the plain manifest is what the component makes", () => {
  assert.deepEqual(objectsIn(readFileSync(join(DEPLOY, "sidecar.yaml"), "utf8")), objectsIn(kustomized()));
});
