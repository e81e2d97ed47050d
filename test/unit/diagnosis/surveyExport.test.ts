import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Popularity } from "../../../src/diagnosis/managingEntity.ts";
import { Survey, standingOf } from "../../../src/diagnosis/survey.ts";
import { rowCsv } from "../../../src/diagnosis/surveyExport.ts";
import { surveyHtml } from "../../../src/diagnosis/surveyHtml.ts";
import type { SurveyHost, SurveyRow } from "../../../src/diagnosis/surveyRow.ts";

function rowWith(...hosts: readonly SurveyHost[]): SurveyRow {
  const about = {
    domain: "example.org",
    at: 0,
    verdict: "deliverable",
    tls: "dane",
    dane: "authenticated",
    dnssec: "secure",
  } as const;
  return { ...about, hosts, nameServers: [], sts: "none", tlsrpt: "no", findings: [] };
}

const correct: SurveyHost = { host: "a.test", state: "correct", tlsa: ["3 1 1"] };
const none: SurveyHost = { host: "b.test", state: "none", tlsa: [] };
const wrong: SurveyHost = { host: "c.test", state: "incorrect", cause: "mismatch", class: "tlsa-mismatch", tlsa: ["3 1 1"] };
const unknown: SurveyHost = { host: "d.test", state: "unknown", tlsa: [] };

describe("how a domain stands", () => {
  const ROWS: readonly (readonly [string, readonly SurveyHost[], string, string])[] = [
    ["all hosts", [correct], "whole", "correct"],
    ["some hosts", [correct, none], "partly", "correct"],
    ["one wrong host is enough", [correct, wrong], "whole", "incorrect"],
    ["no records", [none], "none", "none"],
    ["no host", [], "unknown", "unknown"],
    ["a host that nobody reached", [none, unknown], "unknown", "unknown"],
    ["records, and nobody there", [{ ...unknown, tlsa: ["3 1 1"] }, correct], "whole", "unknown"],
  ];
  for (const [shows, hosts, deployment, state] of ROWS)
    test(shows, () => {
      const standing = standingOf({ hosts });
      assert.deepEqual([standing.deployment, standing.state], [deployment, state]);
    });
});

describe("names that others chose", () => {
  const row = { ...rowWith({ ...wrong, host: '<b>"x",' }), domain: "=cmd()" };
  const popularity = new Popularity();

  test("are no formula and no second field in CSV", () => {
    const line = rowCsv(row, { popularity, threshold: 5 });
    assert.ok(line.startsWith("'=cmd(),1970-01-01T00:00:00.000Z,"));
    assert.ok(line.includes(',"<b>""x"",=incorrect",'), line);
  });

  test("are no markup in the report", () => {
    const survey = new Survey(popularity, 1);
    survey.add(row);
    const html = surveyHtml(survey.result(), undefined, 0);
    assert.ok(!html.includes('<b>"x'), html);
    assert.ok(html.includes("&#60;b&#62;&#34;x&#34;,"));
  });
});
