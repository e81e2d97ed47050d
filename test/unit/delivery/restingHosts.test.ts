import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConnectionFailure, ConnectionRequest, ConnectionResult, SmtpSession } from "../../../src/delivery/connection.ts";
import { RestingHosts } from "../../../src/delivery/restingHosts.ts";
import { SteppedClock } from "./schedulerClock.ts";

const READY: ConnectionResult = { kind: "ready", session: {} as SmtpSession };

function failure(stage: ConnectionFailure["stage"]): ConnectionResult {
  return { kind: "failed", failure: { stage, text: `${stage} failed` } };
}

function request(address = "192.0.2.1", port = 25): ConnectionRequest {
  return { address, port, hostname: "relay.example", tls: { need: "none" }, implicitTls: false, timeouts: { connectSeconds: 1 } };
}

function fixture() {
  const clock = new SteppedClock();
  const hosts = new RestingHosts({ clock });
  let tried = 0;
  /** `tried`, or what was said instead of trying. */
  const attempt = async (result: ConnectionResult | Promise<ConnectionResult>, to = request()): Promise<string> => {
    const before = tried;
    const got = await hosts.connect(to, () => {
      tried += 1;
      return Promise.resolve(result);
    });
    if (tried > before) return "tried";
    assert.ok(got.kind === "failed");
    return got.failure.text;
  };
  const fail = async (times: number, stage: ConnectionFailure["stage"] = "connect"): Promise<string[]> => {
    const said: string[] = [];
    for (let i = 0; i < times; i += 1) said.push(await attempt(failure(stage)));
    return said;
  };
  return { clock, attempt, fail };
}

test("after three failures in a row a host is left alone for 30 s, and its failure told instead", async () => {
  const { clock, attempt, fail } = fixture();
  assert.deepEqual(await fail(3), ["tried", "tried", "tried"]);
  clock.advance(12);
  assert.equal(await attempt(READY), "connect failed (12 s ago, failure 3 in a row; tried again in 18 s)");
  clock.advance(18);
  assert.equal(await attempt(READY), "tried");
  assert.deepEqual(await fail(3), ["tried", "tried", "tried"]);
});

test("each further failure doubles the rest", async () => {
  const { clock, attempt, fail } = fixture();
  await fail(3);
  clock.advance(30);
  assert.deepEqual(await fail(1), ["tried"]);
  clock.advance(59);
  assert.match(await attempt(READY), /failure 4 in a row; tried again in 1 s/);
  clock.advance(1);
  assert.equal(await attempt(READY), "tried");
});

test("after the rest one connection probes; the others wait for its end", async () => {
  const { clock, attempt, fail } = fixture();
  await fail(3);
  clock.advance(30);
  const probe = Promise.withResolvers<ConnectionResult>();
  const probing = attempt(probe.promise);
  assert.match(await attempt(READY), /being tried just now/);
  probe.resolve(READY);
  assert.equal(await probing, "tried");
  assert.equal(await attempt(READY), "tried");
});

test("failures of what was under way when the rest began do not prolong it", async () => {
  const { clock, attempt } = fixture();
  const results = Array.from({ length: 6 }, () => Promise.withResolvers<ConnectionResult>());
  const attempts = results.map(({ promise }) => attempt(promise));
  for (const { resolve } of results) resolve(failure("connect"));
  await Promise.all(attempts);
  assert.match(await attempt(READY), /failure 6 in a row; tried again in 30 s/);
  clock.advance(30);
  assert.equal(await attempt(READY), "tried");
});

test("another port, another address: another host", async () => {
  const { attempt, fail } = fixture();
  await fail(3);
  assert.equal(await attempt(READY, request("192.0.2.2")), "tried");
  assert.equal(await attempt(READY, request("192.0.2.1", 587)), "tried");
});

for (const [stage, counts] of [
  ["connect", "counts"],
  ["greeting", "counts"],
  ["ehlo", "counts"],
  ["starttls-missing", "does not count"],
  ["starttls-refused", "does not count"],
  ["handshake", "does not count"],
  ["verify", "does not count"],
  ["auth", "does not count"],
] as const) {
  test(`a failure at ${stage} ${counts}`, async () => {
    const { fail } = fixture();
    assert.equal((await fail(4, stage))[3] === "tried", counts === "does not count");
  });
}

test("a connection in between: failures are no longer in a row", async () => {
  const { attempt, fail } = fixture();
  await fail(2);
  await attempt(READY);
  assert.deepEqual(await fail(3), ["tried", "tried", "tried"]);
});

test("the reply that refused is kept", async () => {
  const reply = { code: 421, enhanced: "4.3.2", lines: ["busy"] };
  const hosts = new RestingHosts({ clock: new SteppedClock() });
  const refused = { kind: "failed", failure: { stage: "greeting", text: "busy", reply } } as const;
  for (let i = 0; i < 4; i += 1) {
    const got = await hosts.connect(request(), () => Promise.resolve(refused as ConnectionResult));
    assert.ok(got.kind === "failed" && got.failure.stage === "greeting");
    assert.deepEqual(got.failure.reply, reply);
  }
});

test("whatever breaks in the probe itself does not leave the host resting for ever", async () => {
  const { clock, attempt, fail } = fixture();
  await fail(3);
  clock.advance(30);
  await assert.rejects(attempt(Promise.reject(new Error("bug"))));
  assert.equal(await attempt(READY), "tried");
});

test("what this machine is short of rests no host", async () => {
  const { attempt } = fixture();
  const dialled = [{ address: "192.0.2.1", text: "out of file descriptors", blame: "here" }] as const;
  const failed: ConnectionResult = { kind: "failed", failure: { stage: "connect", text: "out of file descriptors", dialled } };
  for (let i = 0; i < 5; i += 1) assert.equal(await attempt(failed), "tried");
});

test("of several addresses only those that do not rest are tried; each that fails is remembered by itself", async () => {
  const clock = new SteppedClock();
  const hosts = new RestingHosts({ clock });
  const tried: string[][] = [];
  const both = { ...request("192.0.2.1"), others: [{ address: "192.0.2.2", localAddress: "192.0.2.9" }] };
  const connect = async (result: (addresses: readonly string[]) => ConnectionResult): Promise<ConnectionResult> =>
    hosts.connect(both, (asked) => {
      const addresses = [asked.address, ...(asked.others ?? []).map(({ address }) => address)];
      tried.push(addresses);
      return Promise.resolve(result(addresses));
    });
  const refused = (addresses: readonly string[]): ConnectionResult => {
    const dialled = addresses.map((address) => ({ address, text: `${address} refused` }));
    return { kind: "failed", failure: { stage: "connect", text: "both refused", dialled } };
  };
  // Three times the first address alone is to blame, for the second one greets.
  for (let i = 0; i < 3; i += 1) await connect(() => refused(["192.0.2.1"]));
  await connect((addresses) => refused(addresses));
  assert.deepEqual(tried.at(-1), ["192.0.2.2"]);
  await connect((addresses) => refused(addresses));
  await connect((addresses) => refused(addresses));
  const before = tried.length;
  const resting = await connect(() => READY);
  assert.equal(tried.length, before);
  assert.match(resting.kind === "failed" ? resting.failure.text : "", /^192\.0\.2\.1 refused \(0 s ago, failure 3 in a row/);
  clock.advance(30);
  await connect(() => ({ kind: "ready", session: { ends: { address: "192.0.2.2" } } as SmtpSession }));
  assert.deepEqual(tried.at(-1), ["192.0.2.1", "192.0.2.2"]);
});
