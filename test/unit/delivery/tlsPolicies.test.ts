import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { demandOf, type TlsPolicySetting } from "../../../src/delivery/tlsPolicies.ts";
import type { Envelope } from "../../../src/spool/message.ts";

const NOW = Date.UTC(2027, 0, 31);

const rows: readonly {
  name: string;
  policies?: readonly TlsPolicySetting[];
  envelope?: Partial<Envelope>;
  tlsRequiredNo?: "ignore";
  demand: string;
}[] = [
  { name: "nothing written, nothing asked", demand: "dane default unspecified" },
  {
    name: "an exception in force",
    policies: [{ domain: "example.org", level: "may", expiresAt: NOW + 1 }],
    demand: "may operator unspecified",
  },
  {
    name: "an exception that has expired",
    policies: [{ domain: "example.org", level: "may", expiresAt: NOW }],
    demand: "dane default unspecified",
  },
  { name: "REQUIRETLS", envelope: { requireTls: true }, demand: "dane default required" },
  { name: "TLS-Required: No", envelope: { tlsRequiredNo: true }, demand: "dane default not-required" },
  {
    name: "TLS-Required: No, ignored",
    envelope: { tlsRequiredNo: true },
    tlsRequiredNo: "ignore",
    demand: "dane default unspecified",
  },
  {
    name: "a TLS report (RFC 8460 §3): no demand, whatever is written down or asked",
    policies: [{ domain: "example.org", level: "dane-only" }],
    envelope: { purpose: "tls-report", tlsRequiredNo: true, requireTls: true },
    tlsRequiredNo: "ignore",
    demand: "may operator unspecified",
  },
];

describe("what is asked of a delivery before DNS has a say", () => {
  for (const { name, policies = [], envelope = {}, tlsRequiredNo = "honour", demand } of rows) {
    test(name, () => {
      const whole: Envelope = {
        id: "A1",
        sender: "",
        acceptedAt: 0,
        smtpUtf8: false,
        eightBitMime: false,
        requireTls: false,
        tlsRequiredNo: false,
        size: 1,
        ...envelope,
      };
      const found = demandOf({ destination: "example.org", envelope: whole }, { tlsPolicies: policies, tlsRequiredNo }, NOW);
      assert.equal(`${found.level} ${found.levelFrom} ${found.messageTls}`, demand);
    });
  }
});
