import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { explanationJson } from "../../../src/diagnosis/explanationJson.ts";
import { explanationText } from "../../../src/diagnosis/explanationText.ts";
import { FAILURE_CLASSES } from "../../../src/diagnosis/finding.ts";
import { GOOD_WORLD, ROWS } from "./explainRows.ts";
import { explainIn, oneHost, PORT } from "./explainWorld.ts";

describe("explain names the trouble, who mends it and how; and what it says mends it", () => {
  for (const row of ROWS)
    test(`${row.class}: ${row.shows}`, async () => {
      const { explanation, commands } = await explainIn(row.world);
      const shown = JSON.stringify(explanationJson(explanation));
      assert.equal(explanation.verdict.kind, row.verdict, shown);
      const found = explanation.findings.filter((finding) => finding.class === row.class);
      assert.equal(found.length, 1, JSON.stringify(explanation.findings));
      const [finding] = found;
      assert.ok(finding !== undefined);
      assert.equal(finding.actor, row.actor);
      assert.equal(finding.severity, row.severity ?? "error");
      assert.equal(finding.host, row.host ?? "example.test");
      assert.match(`${finding.explanation} ${finding.remedy}`, row.says);
      assert.match(finding.rfc, /^RFC \d+( §[\d.]+)?$/);
      assert.ok(!commands.some((line) => /^(?:MAIL|RCPT|DATA|BDAT|AUTH)/i.test(line)), commands.join("; "));
      if (row.mended === undefined) return;
      const after = await explainIn(row.mended(finding.paste ?? []));
      assert.equal(after.explanation.verdict.kind, "deliverable", explanationText(after.explanation));
      assert.deepEqual(
        after.explanation.findings.filter((one) => one.class === row.class),
        [],
      );
    });

  test("at another time: what is published now has ended then", async () => {
    const { explanation } = await explainIn({ ...GOOD_WORLD, later: 60 * 86_400_000 });
    assert.equal(explanation.verdict.kind, "not-deliverable");
    const [finding] = explanation.findings;
    assert.equal(finding?.class, "dnssec-expired");
    assert.match(finding?.remedy ?? "", /^nothing, if the signer of the root zone renews these signatures before then/);
  });

  test("without connecting: nobody is talked to, and nothing is deliverable that was not seen", async () => {
    const { explanation, commands } = await explainIn({ ...GOOD_WORLD, connecting: "no" });
    assert.equal(explanation.verdict.kind, "undecided");
    assert.deepEqual(explanation.findings, []);
    assert.deepEqual(commands, []);
  });

  test("credentials of a route are not sent, and the host is held to what they demand", async () => {
    const nextHop = `[mx.example.test]:${PORT}`;
    const routes = [{ domain: "*", nextHop, tls: "starttls", auth: { username: "user", password: "secret" } }] as const;
    for (const target of ["example.net", nextHop]) {
      const { explanation, commands } = await explainIn({ ...GOOD_WORLD, target, settings: { routes } });
      assert.equal(explanation.verdict.dane, "authenticated");
      assert.ok(!commands.some((line) => line.startsWith("AUTH")), commands.join("; "));
    }
    const unsigned = await explainIn({ ...GOOD_WORLD, zone: { unsigned: true }, settings: { routes } });
    assert.equal(unsigned.explanation.verdict.tls, "pkix");
  });

  test("what a server says reaches no terminal as a command", async () => {
    const greeting = "220 mx.example.test \u001b[31mred\u0007\u009b1m";
    const { explanation } = await explainIn({ records: oneHost(), hosts: { "mx.example.test": { greeting } } });
    const text = explanationText(explanation);
    assert.match(text, /220 mx\.example\.test \?\[31mred/);
    assert.doesNotMatch(text.replaceAll("\n", ""), /\p{Cc}/u);
  });

  test("each class has a row", () => {
    const shown = new Set(ROWS.map((row) => row.class));
    assert.deepEqual(
      FAILURE_CLASSES.filter((one) => !shown.has(one)),
      [],
    );
  });
});
