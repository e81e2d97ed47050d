import assert from "node:assert/strict";
import { test } from "node:test";
import { type Access, permissionOf } from "../../../src/admin/access.ts";

/** Without a token: who counts as somebody on this machine. */
const NO_TOKEN: Access = { token: { kind: "none" }, hostnames: new Set(["relay.example"]) };

const READERS: readonly {
  name: string;
  address?: string;
  ownAddress?: string;
  headers?: Record<string, string>;
  reads: "yes" | "no";
}[] = [
  { name: "this machine", reads: "yes" },
  { name: "this machine, IPv6", address: "::1", ownAddress: "::1", reads: "yes" },
  { name: "this machine, a mapped address", address: "::ffff:127.0.0.1", ownAddress: "::ffff:127.0.0.1", reads: "yes" },
  { name: "a port-forward", headers: { "user-agent": "curl/8", accept: "*/*" }, reads: "yes" },
  { name: "another machine", address: "192.0.2.1", reads: "no" },
  { name: "this machine by its own address", address: "192.0.2.7", ownAddress: "192.0.2.7", reads: "no" },
  {
    name: "the proxy of a mesh: a loopback address that came to the pod's",
    address: "127.0.0.6",
    ownAddress: "10.1.2.3",
    reads: "no",
  },
  { name: "a route to loopback from outside", address: "192.0.2.1", ownAddress: "127.0.0.1", reads: "no" },
  { name: "a connection that has ended", address: "", ownAddress: "", reads: "no" },
  ...[
    "forwarded",
    "via",
    "x-real-ip",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-client-cert",
    "x-envoy-attempt-count",
  ].map((header) => ({ name: `a proxy that says ${header}`, headers: { [header]: "1.1 proxy" }, reads: "no" as const })),
];

for (const { name, address = "127.0.0.1", ownAddress = "127.0.0.1", headers = {}, reads } of READERS) {
  test(`reading without a token: ${name}`, () => {
    const caller = { kind: "remote", address, ownAddress, headers: { host: "127.0.0.1:9025", ...headers } } as const;
    assert.equal(permissionOf(caller, "read", NO_TOKEN).kind, reads === "yes" ? "granted" : "refused");
    assert.equal(permissionOf(caller, "action", NO_TOKEN).kind, "refused");
  });
}
