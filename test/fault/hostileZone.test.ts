import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { systemRandom } from "../../src/clock.ts";
import { createForwarder } from "../../src/resolver/forwarder.ts";
import { createResolver } from "../../src/resolver/resolver.ts";
import { createTransport } from "../../src/resolver/socketTransport.ts";
import { anchorsOf } from "../conformance/ownCase.ts";
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
