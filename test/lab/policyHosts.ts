import type { RequestListener } from "node:http";
import { serves, startPolicyHost } from "../fake/policyHost.ts";
import { type Identity, issue, type Pki } from "./pki.ts";
import type { Scenario } from "./scenario.ts";

/** The MTA-STS policy hosts of the lab (RFC 8461 §3.2): HTTPS on port 443 of an address of their own. */
export type PolicyHost = { name: string; address: string; identity: Identity; answer: RequestListener };

const HTTPS_PORT = 443;

/** The policy host that a row wants, at `address`, and its records. */
export function policyHostOf(scenario: Scenario, address: string, pki: Pki): { host: PolicyHost; records: string[] } | undefined {
  const { domain, mtaSts } = scenario;
  if (mtaSts === undefined) return undefined;
  const name = `mta-sts.${domain}`;
  const records = [`_mta-sts.${domain} TXT "v=STSv1; id=1;"`, `${name} A ${address}`];
  const policy = [
    "version: STSv1",
    `mode: ${mtaSts.mode}`,
    ...mtaSts.mx.map((pattern) => `mx: ${pattern}`),
    "max_age: 86400",
    "",
  ];
  const identity = issue(pki, name, mtaSts.certificate ?? {});
  const answer = mtaSts.answers === "not-found" ? notFound : serves(policy.join("\r\n"));
  return { host: { name, address, identity, answer }, records };
}

const notFound: RequestListener = (_, response) => {
  response.writeHead(404, { "content-type": "text/plain" });
  response.end("no such file\r\n");
};

/** Starts one; resolves to how it is stopped. What it answers may be changed while it runs. */
export async function startLabPolicyHost(host: PolicyHost): Promise<() => Promise<void>> {
  const { address, identity } = host;
  const { leaf, chainPem } = identity;
  const answer: RequestListener = (request, response) => host.answer(request, response);
  const started = await startPolicyHost({ address, port: HTTPS_PORT, key: leaf.keyPem, cert: chainPem, answer });
  return () => started.close();
}
