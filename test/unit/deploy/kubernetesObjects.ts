import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";

export const ROOT = join(import.meta.dirname, "..", "..", "..");

export type KubernetesObject = {
  apiVersion: string;
  kind: string;
  metadata: { name: string; labels?: Record<string, string> };
  [field: string]: unknown;
};

/** Of the Prometheus operator: not in Kubernetes' own schemas. */
const CUSTOM_RESOURCES = "monitoring.coreos.com/v1";

type Model = new (object: KubernetesObject) => { validate(): void };

/** The schemas by apiVersion, as far as we deploy such objects. */
const MODELS: Readonly<Record<string, () => Promise<unknown>>> = {
  v1: () => import("kubernetes-models/v1"),
  "apps/v1": () => import("kubernetes-models/apps/v1"),
  "autoscaling/v2": () => import("kubernetes-models/autoscaling/v2"),
  "networking.k8s.io/v1": () => import("kubernetes-models/networking.k8s.io/v1"),
  "policy/v1": () => import("kubernetes-models/policy/v1"),
};

export function objectsIn(text: string): readonly KubernetesObject[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors.length > 0) throw new Error(document.errors.map(({ message }) => message).join("; "));
    const object: unknown = document.toJS();
    return object === null ? [] : [object as KubernetesObject];
  });
}

/**
 * What Kubernetes would refuse in `objects`, or drop without a word: each is held against the API's schema (types, required fields, formats), and
 * all are compiled as literals of the API's types, which finds the fields that the schema does not know.
 */
export async function schemaErrors(objects: readonly KubernetesObject[]): Promise<string> {
  const own = objects.filter(({ apiVersion }) => apiVersion !== CUSTOM_RESOURCES);
  const errors: string[] = [];
  for (const object of own) {
    const models = (await MODELS[object.apiVersion]?.()) as Record<string, Model | undefined> | undefined;
    const model = models?.[object.kind];
    if (model === undefined) errors.push(`no schema is known for ${object.apiVersion} ${object.kind}`);
    else {
      try {
        new model(object).validate();
      } catch (error) {
        errors.push(`${object.kind} ${object.metadata.name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }
  return [...errors, unknownFields(own)].filter((text) => text !== "").join("\n");
}

function unknownFields(objects: readonly KubernetesObject[]): string {
  const lines = objects.flatMap((object, index) => [
    `import type { I${object.kind} as T${index} } from "kubernetes-models/${object.apiVersion}";`,
    `export const o${index}: T${index} = ${JSON.stringify(object)};`,
  ]);
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-kubernetes-"));
  try {
    symlinkSync(join(ROOT, "node_modules"), join(directory, "node_modules"));
    writeFileSync(join(directory, "objects.ts"), lines.join("\n"));
    const argv = ["--noEmit", "--skipLibCheck", "--strict", "--module", "nodenext", "--ignoreConfig", "objects.ts"];
    const { status, stdout } = spawnSync(join(ROOT, "node_modules", ".bin", "tsc"), argv, { cwd: directory, encoding: "utf8" });
    return status === 0 ? "" : stdout || "the compiler did not run";
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
