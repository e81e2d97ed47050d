import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { systemRandom } from "../../../src/clock.ts";
import { RR_TYPE } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { presentRdata } from "../../../src/dns/rdataText.ts";
import { type TrustAnchorEvent, trustAnchorText } from "../../../src/resolver/activeRefresh.ts";
import { type OpenResolver, openResolver, type ResolverSettings } from "../../../src/resolver/openResolver.ts";
import { signedTree } from "../../conformance/ownCase.ts";
import { FAKE_NOW, fakeDns } from "../../fake/zone.ts";
import { type HostileServer, hostileServer } from "../../fault/hostileServer.ts";

/** The resolver as the relay opens it: settings, files, sockets. The upstream is an honest server on loopback. */

const ADDRESS = "127.24.1.3";
const dns = fakeDns(signedTree(["example.test MX 10 mail.example.test"]));

describe("an open resolver", () => {
  let server: HostileServer;
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "open-resolver-"));
    const anchors = dns.anchors.map((one) => `. DS ${presentRdata(RR_TYPE.DS, one.rdata)}\n`);
    await writeFile(join(directory, "anchors"), anchors.join(""));
    server = await hostileServer(ADDRESS, (query) => {
      const [question] = query.questions;
      return question === undefined ? undefined : dns.answer(question.name, question.type);
    });
  });
  after(async () => {
    await server.close();
    await rm(directory, { recursive: true });
  });

  /** Opens, waits for the probe and for what was asked with it, and closes. */
  async function run(overrides: Partial<ResolverSettings>, use: (open: OpenResolver) => Promise<void>): Promise<string[]> {
    const events: TrustAnchorEvent[] = [];
    const probed = Promise.withResolvers<void>();
    const open = await openResolver(
      {
        mode: "forward",
        upstreams: [{ address: ADDRESS, port: server.port }],
        trustAnchorFile: join(directory, "anchors"),
        sha1: "insecure",
        insecureZones: [],
        forwardZones: [],
        timeoutSeconds: 10,
        nsec3Iterations: { insecureAbove: 100, bogusAbove: 500 },
        probe: {},
        allowLoopback: true,
        ...overrides,
      },
      {
        clock: { now: () => FAKE_NOW * 1000, monotonic: () => performance.now() },
        random: systemRandom,
        onVerdict: () => undefined,
        onValidation: () => probed.resolve(),
        onExchange: () => undefined,
        onTrustAnchor: (event) => events.push(event),
      },
    );
    try {
      open.start();
      await probed.promise;
      await use(open);
    } finally {
      open.close();
    }
    return events.map(trustAnchorText);
  }

  async function untilWritten(file: string): Promise<string> {
    for (;;) {
      const text = (await readdir(directory)).includes(file) ? await readFile(join(directory, file), "utf8") : "";
      if (text.includes('"valid"')) return text;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  test("validates, and keeps the state of its trust anchors in its directory", { timeout: 20_000 }, async () => {
    const events = await run({ stateDirectory: directory }, async (open) => {
      const resolution = await open.resolver.resolve(name("example.test"), "MX");
      assert.equal(resolution.status, "secure");
      assert.equal(open.validation().kind, "validating");
      await untilWritten("trust-anchors.json");
    });
    assert.deepEqual(events, []);
  });

  test("a damaged state costs nothing but what it remembered", { timeout: 20_000 }, async () => {
    await writeFile(join(directory, "trust-anchors.json"), '{"version":1,');
    const events = await run({ stateDirectory: directory }, async (open) => {
      assert.equal(open.validation().kind, "validating");
      await untilWritten("trust-anchors.json");
    });
    assert.equal(events.length, 1);
    assert.match(
      events[0] ?? "",
      /trust-anchors\.json cannot be used \(not JSON: .*\): only the configured trust anchors are trusted/,
    );
  });

  test("without a directory nothing is written", { timeout: 20_000 }, async () => {
    await rm(join(directory, "trust-anchors.json"), { force: true });
    await run({}, async (open) => assert.equal(open.validation().kind, "validating"));
    assert.deepEqual(await readdir(directory), ["anchors"]);
  });

  test("anchors that cannot be read are an error that names the key", async () => {
    await assert.rejects(
      run({ trustAnchorFile: join(directory, "absent") }, async () => undefined),
      /^Error: resolver\.trustAnchorFile: .*absent cannot be read/,
    );
  });
});
