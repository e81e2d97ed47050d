import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { systemRandom } from "../../src/clock.ts";
import { RR_TYPE } from "../../src/dns/message.ts";
import { name } from "../../src/dns/name.ts";
import { createForwarder } from "../../src/resolver/forwarder.ts";
import { createRecursor } from "../../src/resolver/recursor.ts";
import { RECURSOR_LIMITS } from "../../src/resolver/recursorLimits.ts";
import { createResolver } from "../../src/resolver/resolver.ts";
import { createTransport } from "../../src/resolver/socketTransport.ts";
import { anchorsOf } from "../conformance/ownCase.ts";
import { records, response } from "../fake/dnsWire.ts";
import { FAKE_NOW } from "../fake/zone.ts";
import { countingAlgorithms, hostileInternet } from "./hostileInternet.ts";
import { type HostileServer, hostileServer } from "./hostileServer.ts";

/** What hostile zones on a real server can make the resolver do, counted in operations. `npm run bench -- hostile` has the times. */

const ADDRESS = "127.24.1.1";
const internet = hostileInternet();

describe("hostile zones", () => {
  let server: HostileServer;
  before(async () => {
    server = await hostileServer(ADDRESS, (query) => {
      const [question] = query.questions;
      return question === undefined ? undefined : internet.answer(question.name, question.type);
    });
  });
  after(() => server.close());

  for (const one of internet.cases) {
    test(one.title, async () => {
      const clock = { now: () => FAKE_NOW * 1000, monotonic: () => performance.now() };
      const transport = createTransport({ clock, random: systemRandom });
      const { algorithms, checks } = countingAlgorithms();
      const upstreams = [{ address: ADDRESS, port: server.port }] as const;
      const resolver = createResolver({
        source: createForwarder({ upstreams, transport, clock, timeoutSeconds: 30 }),
        anchors: anchorsOf(internet),
        algorithms,
        clock,
        timeoutSeconds: 30,
        trustCacheEntries: 100,
        cacheEntries: 100,
      });
      const answered = server.answered();
      const resolution = await resolver.lookup(...one.ask);
      transport.close();
      assert.equal(resolution.status, one.status, JSON.stringify(resolution.reasons));
      assert.ok(checks() <= one.signatureChecks, `${checks()} signature checks`);
      const questions = server.answered() - answered;
      assert.ok(questions <= one.questions, `${questions} questions`);
    });
  }
});

const REFERRALS_ADDRESS = "127.24.1.2";

/** Whatever is asked, twenty name servers know it, whose names twenty others know each (NXNSAttack, in storeys). */
const REFERRALS: Readonly<Record<string, (owner: string) => readonly string[]>> = {
  "to twenty name servers below one other name": (owner) => {
    const zone = owner.split(".").slice(-3).join(".");
    return Array.from({ length: 20 }, (_, i) => `${zone} NS n${i}.z${zone}`);
  },
  "to twenty name servers in twenty other zones": (owner) => {
    const zone = owner.split(".").slice(-3).join(".");
    return Array.from({ length: 20 }, (_, i) => `${zone} NS ns.z${i}${zone}`);
  },
  "one label deeper each, a hundred times": (owner) => [`${owner} NS ns.${owner}`],
};

describe("referral amplification", () => {
  for (const [title, referral] of Object.entries(REFERRALS)) {
    test(title, async () => {
      const server = await hostileServer(REFERRALS_ADDRESS, (query) => {
        const [question] = query.questions;
        if (question === undefined) return undefined;
        const additional = records(`ns.${question.name} A ${REFERRALS_ADDRESS}`);
        return response({ authority: records(...referral(question.name)), additional, recursionAvailable: false });
      });
      const clock = { now: () => FAKE_NOW * 1000, monotonic: () => performance.now() };
      const transport = createTransport({ clock, random: systemRandom });
      const source = createRecursor({
        transport,
        clock,
        random: systemRandom,
        rootHints: [{ name: name("a.root"), addresses: [REFERRALS_ADDRESS] }],
        ports: new Map([[REFERRALS_ADDRESS, server.port]]),
        allowLoopback: true,
      });
      const answer = await source.ask(name(`${"a.".repeat(100)}deep.down.example`), RR_TYPE.MX);
      transport.close();
      await server.close();
      assert.equal(answer.kind, "failed");
      assert.ok(server.answered() > 5);
      assert.ok(server.answered() <= RECURSOR_LIMITS.queriesPerQuestion, `${server.answered()} queries`);
    });
  }
});
