import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { denialFacts } from "../../../src/diagnosis/denialFact.ts";
import { RR_TYPE } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { signedTree } from "../../conformance/ownCase.ts";
import { fakeDns, type ZoneDefinition } from "../../fake/zone.ts";

/** What the records that deny `asked` say, in the words of an explanation; the zone has mx, and an alias below a wildcard. */
function says(asked: string, type: keyof typeof RR_TYPE, definition: Partial<ZoneDefinition>): string[] {
  const records = ["mx.example.test A 192.0.2.1", "*.wild.example.test A 192.0.2.2"];
  const { answer } = fakeDns(signedTree(records, definition));
  return denialFacts(answer(name(asked), RR_TYPE[type]), name(asked)).flatMap((fact) => fact.says);
}

const KINDS: readonly NonNullable<ZoneDefinition["denial"]>[] = ["nsec", "nsec3", "nsec3-opt-out"];

describe("what a denial says", () => {
  for (const denial of KINDS) {
    const zone: Partial<ZoneDefinition> = denial === "nsec" ? {} : { denial, nsec3: { salt: "ab", iterations: 2 } };
    const doubt = denial === "nsec3-opt-out" ? ", unless as an unsigned delegation (opt-out)" : "";

    test(`${denial}: a name that has other types`, () => {
      const [match, ...more] = says("mx.example.test", "TLSA", zone);
      assert.match(match ?? "", /^mx\.example\.test has only: A /);
      assert.deepEqual(more, []);
    });

    test(`${denial}: a name that does not exist, and no wildcard for it`, () => {
      const said = says("_25._tcp.mx.example.test", "TLSA", zone);
      assert.ok(said.includes(`there is no _tcp.mx.example.test${doubt}`), said.join("; "));
      assert.ok(said.includes(`there is no *.mx.example.test${doubt}`), said.join("; "));
      assert.ok(said.some((one) => /^mx\.example\.test has only: A /.test(one)) || denial === "nsec", said.join("; "));
    });

    test(`${denial}: a name before the first and one behind the last`, () => {
      for (const asked of ["a.example.test", "zz.example.test"])
        assert.ok(says(asked, "A", zone).includes(`there is no ${asked}${doubt}`), asked);
    });
  }

  test("a name with something below it is not said to be missing", () => {
    const said = says("wild.example.test", "A", {});
    assert.ok(!said.some((one) => one.startsWith("there is no wild.example.test")), said.join("; "));
  });
});
