import assert from "node:assert/strict";
import { test } from "node:test";
import { deliveryEvent, isAmbiguous } from "../../../src/delivery/deliveryEvent.ts";
import type { Work } from "../../../src/spool/message.ts";
import type { PeerScript } from "../../fake/smtpPeer.ts";
import { playOnce } from "./deliveryWorld.ts";

/** Whether the peer may have the message: counted and logged only where its end was sent without a reply (RFC 5321 §4.5.3.2.6). */
const TWO_HOSTS = `example.org MX insecure 5 mx0.example.org
  example.org MX insecure 10 mx1.example.org
  mx0.example.org A insecure mx0
  mx1.example.org A insecure mx1`;

const rows: readonly [string, Partial<PeerScript>, "yes" | undefined][] = [
  ["no reply to the final dot", { replies: { CONTENT: { afterwards: "close" } } }, "yes"],
  ["lost at DATA", { replies: { DATA: { afterwards: "close" } } }, undefined],
  ["refused for now", { replies: { CONTENT: "451 4.3.0 later" } }, undefined],
  ["refused for good", { replies: { CONTENT: "550 5.7.1 never" } }, undefined],
  ["delivered", {}, undefined],
];

for (const [title, more, expected] of rows) {
  for (const first of ["closed", { starttls: { refuse: "454 4.7.0 no" }, more: { greeting: "421 4.3.2 busy" } }] as const) {
    test(`${title}, after a host that was ${first === "closed" ? "not reached" : "busy"}: ${expected ?? "no"}`, async () => {
      const { results } = await playOnce({ dns: TWO_HOSTS, receivers: { mx0: first, mx1: { more } } });
      const [result] = results;
      assert.ok(result !== undefined);
      assert.equal(isAmbiguous(result.outcome), expected === "yes");
      const work = { envelope: { id: "M1" }, destination: "example.org" } as Work;
      assert.equal(deliveryEvent(work, result, 1).ambiguous, expected);
    });
  }
}
