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
    const models = (await import(moduleOf(object))) as Record<string, Model | undefined>;
    const model = models[object.kind];
    if (model === undefined) errors.push(`${object.apiVersion} has no ${object.kind}`);
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

function moduleOf({ apiVersion }: KubernetesObject): string {
  return `kubernetes-models/${apiVersion}`;
}

function unknownFields(objects: readonly KubernetesObject[]): string {
  const lines = objects.flatMap((object, index) => [
    `import type { I${object.kind} as T${index} } from "${moduleOf(object)}";`,
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
