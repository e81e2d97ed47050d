import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RR_TYPE } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import type { UpstreamReport } from "../../../src/resolver/probe.ts";
import type { Source } from "../../../src/resolver/source.ts";
import { choiceText, type ResolverMode, SourceSelection } from "../../../src/resolver/sourceSelection.ts";
import type { ServerAddress } from "../../../src/resolver/transport.ts";

const GOOD: ServerAddress = { address: "192.0.2.1", port: 53 };
const STRIPS: ServerAddress = { address: "192.0.2.2", port: 53 };

/** A source that answers with its own name as the reason, so that a test sees who was asked. */
function named(who: string): Source {
  return { ask: () => Promise.resolve({ kind: "failed", reason: who }) };
}

type World = { selection: SourceSelection; made: string[]; passing: Set<ServerAddress> };

function world(mode: ResolverMode, upstreams: readonly ServerAddress[]): World {
  const made: string[] = [];
  const passing = new Set([GOOD]);
  const probe = (upstream: ServerAddress): Promise<UpstreamReport> =>
    Promise.resolve(
      passing.has(upstream)
        ? { upstream, kind: "passes", verdict: `${upstream.address} passes` }
        : { upstream, kind: "lacks", missing: "signatures", verdict: `${upstream.address} strips` },
    );
  const selection = new SourceSelection({
    mode,
    upstreams,
    forward: (chosen) => {
      const who = `forward ${chosen.map(({ address }) => address).join(" ")}`;
      made.push(who);
      return named(who);
    },
    recursive: () => named("recursive"),
    probe,
    forwardZones: [
      { zone: name("cluster.local"), source: named("cluster") },
      { zone: name("deep.cluster.local"), source: named("deep") },
    ],
  });
  return { selection, made, passing };
}

async function asked(selection: SourceSelection, owner: string, type: number = RR_TYPE.A): Promise<string> {
  const answer = await selection.ask(name(owner), type);
  return answer.kind === "failed" ? answer.reason : "message";
}

describe("the source that resolver.mode leads to", () => {
  const cases: readonly [ResolverMode, readonly ServerAddress[], string][] = [
    ["forward", [STRIPS], "forward 192.0.2.2"],
    ["forward", [GOOD, STRIPS], "forward 192.0.2.1 192.0.2.2"],
    ["recursive", [GOOD], "recursive"],
    ["auto", [GOOD], "forward 192.0.2.1"],
    ["auto", [STRIPS, GOOD], "forward 192.0.2.1"],
    ["auto", [STRIPS], "recursive"],
    ["auto", [], "recursive"],
  ];
  for (const [mode, upstreams, expected] of cases) {
    test(`${mode} with ${upstreams.map(({ address }) => address).join(", ") || "no upstream"}: ${expected}`, async () => {
      assert.equal(await asked(world(mode, upstreams).selection, "example.org"), expected);
    });
  }

  test("forward without an upstream is an error, not a silent recursion", async () => {
    await assert.rejects(world("forward", []).selection.choose(), /no upstream/);
  });

  test("auto says which and why", async () => {
    const choice = await world("auto", [STRIPS]).selection.choose();
    assert.equal(choiceText(choice), "resolving from the root (192.0.2.2 strips)");
  });

  test("an upstream that begins to strip is left at the next choice; one that stays keeps its source", async () => {
    const { selection, made, passing } = world("auto", [GOOD]);
    assert.equal(await asked(selection, "example.org"), "forward 192.0.2.1");
    await selection.choose();
    assert.deepEqual(made, ["forward 192.0.2.1"]);
    passing.clear();
    await selection.choose();
    assert.equal(await asked(selection, "example.org"), "recursive");
  });

  test("private zones have their own servers, the closest zone first; the DS of an apex is its parent's", async () => {
    const { selection } = world("recursive", []);
    assert.equal(await asked(selection, "svc.cluster.local"), "cluster");
    assert.equal(await asked(selection, "a.deep.cluster.local"), "deep");
    assert.equal(await asked(selection, "cluster.local", RR_TYPE.DS), "recursive");
    assert.equal(await asked(selection, "deep.cluster.local", RR_TYPE.DS), "cluster");
    assert.equal(await asked(selection, "notcluster.local"), "recursive");
  });
});
