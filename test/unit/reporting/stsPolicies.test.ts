import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { type DomainName, name } from "../../../src/dns/name.ts";
import type { StsMode } from "../../../src/mtasts/policy.ts";
import type { PolicyInForce } from "../../../src/mtasts/policyInForce.ts";
import type { FetchedPolicy, PolicyFetcher } from "../../../src/reporting/mtaStsFetch.ts";
import { PolicyCache } from "../../../src/reporting/policyCache.ts";
import { type StsEvent, StsPolicies } from "../../../src/reporting/stsPolicies.ts";
import { type FakeAnswer, FakeResolver } from "../../fake/resolver.ts";

const DIRECTORY = mkdtempSync(join(tmpdir(), "dane-relay-sts-"));
after(() => rmSync(DIRECTORY, { recursive: true, force: true }));
const NOW = Date.parse("2027-01-31T12:00:00Z");
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const DOMAIN = name("example.org");
let files = 0;

const FETCH_FAILS: FetchedPolicy = { kind: "failed", failure: "sts-policy-fetch-error", reason: "blocked" };

function sound(mode: StsMode = "enforce", maxAgeSeconds = 604_800): FetchedPolicy {
  return { kind: "policy", policy: { mode, maxAgeSeconds, mx: ["mx.example.org"] } };
}

function txt(id: string): FakeAnswer<"TXT"> {
  return { status: "insecure", records: [[Buffer.from(`v=STSv1; id=${id};`)]] };
}

const BLOCKED: FakeAnswer<"TXT"> = { status: "fail" };
const FORGED: FakeAnswer<"TXT"> = { status: "bogus" };
const REMOVED: FakeAnswer<"TXT"> = { status: "insecure", absent: "nxdomain" };

/** A sender whose DNS, policy host and clock are settable. */
class Sender {
  readonly file: string;
  readonly events: StsEvent[] = [];
  readonly fetched: DomainName[] = [];
  now = NOW;
  answer: FakeAnswer<"TXT"> = txt("one");
  host: PolicyFetcher = () => Promise.resolve(sound());
  policies: StsPolicies;
  cache: PolicyCache;

  constructor() {
    files += 1;
    this.file = join(DIRECTORY, `${files}.db`);
    [this.policies, this.cache] = this.#start();
  }

  async restart(): Promise<void> {
    await this.policies.stop();
    this.cache.close();
    [this.policies, this.cache] = this.#start();
  }

  #start(): [StsPolicies, PolicyCache] {
    const cache = new PolicyCache({
      file: this.file,
      now: () => this.now,
      onTrouble: (error) => {
        throw error;
      },
    });
    const resolver = {
      resolve: (owner: DomainName, type: "A" | "AAAA" | "MX" | "TLSA" | "TXT") =>
        new FakeResolver({ TXT: { "_mta-sts.example.org": this.answer } }).resolve(owner, type),
    };
    const policies = new StsPolicies({
      resolver: resolver as FakeResolver,
      cache,
      fetch: (domain, signal) => {
        this.fetched.push(domain);
        return this.host(domain, signal);
      },
      clock: { now: () => this.now, monotonic: () => this.now },
      onEvent: (event) => this.events.push(event),
    });
    return [policies, cache];
  }

  async policy(): Promise<string> {
    return described(await this.policies.policyFor(DOMAIN));
  }

  /** Lets what goes on in the background end. */
  async settle(): Promise<void> {
    for (let i = 0; i < 10; i += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}

function described(found: PolicyInForce): string {
  if (found.kind === "policy") return `${found.policy.mode} ${found.id}`;
  return found.because === "failed" ? `none: ${found.failure}` : `none: ${found.because}`;
}

test("a first policy is fetched before the delivery goes on, and is then used from the cache", async () => {
  const sender = new Sender();
  assert.equal(await sender.policy(), "enforce one");
  assert.equal(await sender.policy(), "enforce one");
  assert.deepEqual(sender.fetched, [DOMAIN]);
  assert.deepEqual(sender.events, [{ kind: "policy", domain: DOMAIN, id: "one", mode: "enforce", maxAgeSeconds: 604_800 }]);
});

const WITHOUT: readonly [shows: string, answer: FakeAnswer<"TXT">, expected: string][] = [
  ["no TXT record", REMOVED, "none: no-record"],
  [
    "two TXT records",
    { status: "secure", records: [[Buffer.from("v=STSv1; id=1;")], [Buffer.from("v=STSv1; id=2;")]] },
    "none: no-record",
  ],
  ["a TXT look-up that fails", BLOCKED, "none: lookup-failed"],
  ["a forged TXT record", FORGED, "none: lookup-failed"],
];
for (const [shows, answer, expected] of WITHOUT)
  test(`${shows}, and nothing cached: ${expected}, and nothing is fetched`, async () => {
    const sender = new Sender();
    sender.answer = answer;
    assert.equal(await sender.policy(), expected);
    assert.deepEqual(sender.fetched, []);
  });

test("RFC 8461 §3.3: no policy can be fetched and none is cached: as though there were none; not asked again for five minutes", async () => {
  const sender = new Sender();
  sender.host = () => Promise.resolve(FETCH_FAILS);
  for (const minutes of [0, 1, 4.99]) {
    sender.now = NOW + minutes * 60_000;
    assert.equal(await sender.policy(), "none: sts-policy-fetch-error");
  }
  assert.equal(sender.fetched.length, 1);
  sender.now = NOW + 5 * 60_000;
  sender.host = () => Promise.resolve(sound());
  assert.equal(await sender.policy(), "enforce one");
  assert.deepEqual(
    sender.events.map((event) => (event.kind === "failed" ? `failed, ${event.holds} holds` : event.kind)),
    ["failed, nothing holds", "policy"],
  );
});

const fails = (failure: "sts-policy-fetch-error" | "sts-policy-invalid" | "sts-webpki-invalid"): PolicyFetcher => {
  return () => Promise.resolve({ kind: "failed", failure, reason: "attacked" });
};

/** RFC 8461 §10.2: whoever blocks TXT, HTTPS or both gets nothing for as long as the cached policy lasts. `end`: what holds after that. */
const ATTACKS: readonly [shows: string, answer: FakeAnswer<"TXT">, host: PolicyFetcher, end: string][] = [
  ["TXT answers are blocked", BLOCKED, () => Promise.resolve(sound()), "enforce one"],
  ["the TXT record is taken away", REMOVED, () => Promise.resolve(sound()), "enforce one"],
  ["TXT answers are forged, HTTPS blocked", FORGED, fails("sts-policy-fetch-error"), "none: lookup-failed"],
  ["TXT answers and HTTPS are blocked", BLOCKED, fails("sts-policy-fetch-error"), "none: lookup-failed"],
  ["the TXT record is taken away, HTTPS blocked", REMOVED, fails("sts-policy-fetch-error"), "none: no-record"],
  ["HTTPS is blocked", txt("one"), fails("sts-policy-fetch-error"), "none: sts-policy-fetch-error"],
  ["another id, HTTPS blocked", txt("evil"), fails("sts-policy-fetch-error"), "none: sts-policy-fetch-error"],
  ["a policy host without a valid certificate", txt("evil"), fails("sts-webpki-invalid"), "none: sts-webpki-invalid"],
  ["a policy that is none", txt("evil"), fails("sts-policy-invalid"), "none: sts-policy-invalid"],
  ["a fetch that breaks inside", txt("evil"), () => Promise.reject(new Error("bug")), "none: sts-policy-fetch-error"],
];
for (const [shows, answer, host, end] of ATTACKS)
  test(`${shows}: the cached policy holds as long as it may, over restarts too`, async () => {
    const sender = new Sender();
    assert.equal(await sender.policy(), "enforce one");
    sender.answer = answer;
    sender.host = host;
    for (const days of [0, 0.5, 1, 3, 6.9]) {
      sender.now = NOW + days * DAY;
      assert.equal(await sender.policy(), "enforce one", `after ${days} days`);
      await sender.settle();
      await sender.restart();
      assert.equal(await sender.policy(), "enforce one", `after ${days} days and a restart`);
      await sender.settle();
    }
    sender.now = NOW + 7 * DAY + 1000;
    assert.equal(await sender.policy(), end);
  });

test("a TXT record behind an alias is one of the domain's own (RFC 8461 §3.1)", async () => {
  const sender = new Sender();
  sender.answer = { ...txt("two"), via: [{ to: "_mta-sts.provider.example", status: "insecure" }] };
  assert.equal(await sender.policy(), "enforce two");
  assert.deepEqual(sender.fetched, [DOMAIN], "the policy host is below the domain all the same (RFC 8461 §8.2)");
});

test("another id: the new policy is fetched and used at once, whatever it says", async () => {
  const sender = new Sender();
  assert.equal(await sender.policy(), "enforce one");
  for (const [id, mode] of [
    ["two", "testing"],
    ["three", "none"],
    ["one", "enforce"],
  ] as const) {
    sender.answer = txt(id);
    sender.host = () => Promise.resolve(sound(mode));
    assert.equal(await sender.policy(), `${mode} ${id}`);
  }
  assert.equal(sender.fetched.length, 4);
});

test("a policy in use is refreshed once a day beside a delivery, which does not wait for it", async () => {
  const sender = new Sender();
  await sender.policy();
  sender.now = NOW + DAY;
  const refreshed = Promise.withResolvers<FetchedPolicy>();
  sender.host = () => refreshed.promise;
  assert.equal(await sender.policy(), "enforce one");
  assert.equal(sender.fetched.length, 2);
  refreshed.resolve(sound("testing"));
  await sender.settle();
  assert.equal(await sender.policy(), "testing one");
  sender.now = NOW + 7 * DAY + HOUR;
  sender.host = () => Promise.resolve(FETCH_FAILS);
  assert.equal(await sender.policy(), "testing one", "its max_age counts from the refresh");
});

test("the background refreshes what is in use without any delivery, after a restart too", async () => {
  const sender = new Sender();
  await sender.policy();
  await sender.restart();
  sender.policies.sweep();
  assert.equal(sender.fetched.length, 1, "not yet due");
  sender.now = NOW + DAY;
  sender.answer = BLOCKED;
  sender.policies.sweep();
  await sender.settle();
  assert.equal(sender.fetched.length, 2);
  sender.now = NOW + 7 * DAY + HOUR;
  sender.host = () => Promise.resolve(FETCH_FAILS);
  assert.equal(await sender.policy(), "enforce one");
});

test("a refresh that fails is told, with the mode that still holds", async () => {
  const sender = new Sender();
  await sender.policy();
  sender.now = NOW + DAY;
  sender.host = () => Promise.resolve(FETCH_FAILS);
  sender.policies.sweep();
  await sender.settle();
  assert.deepEqual(sender.events.at(-1), {
    kind: "failed",
    domain: DOMAIN,
    failure: "sts-policy-fetch-error",
    reason: "blocked",
    holds: "enforce",
  });
});

test("a max_age of zero holds for the delivery that fetched it", async () => {
  const sender = new Sender();
  sender.host = () => Promise.resolve(sound("enforce", 0));
  assert.equal(await sender.policy(), "enforce one");
  sender.now = NOW + 1;
  sender.host = () => Promise.resolve(FETCH_FAILS);
  assert.equal(await sender.policy(), "none: sts-policy-fetch-error");
});

test("deliveries at the same time share one fetch", async () => {
  const sender = new Sender();
  const flight = Promise.withResolvers<FetchedPolicy>();
  sender.host = () => flight.promise;
  const waiting = [sender.policy(), sender.policy(), sender.policy()];
  await sender.settle();
  flight.resolve(sound());
  assert.deepEqual(await Promise.all(waiting), ["enforce one", "enforce one", "enforce one"]);
  assert.equal(sender.fetched.length, 1);
});

test("no more than twenty fetches at a time, and all in the end", async () => {
  let open = 0;
  let most = 0;
  const cache = new PolicyCache({ file: join(DIRECTORY, "many.db"), now: () => NOW, onTrouble: assert.fail });
  const domains = Array.from({ length: 50 }, (_, i) => `d${i}.example`);
  const policies = new StsPolicies({
    resolver: new FakeResolver({ TXT: Object.fromEntries(domains.map((domain) => [`_mta-sts.${domain}`, txt("one")])) }),
    cache,
    fetch: async () => {
      open += 1;
      most = Math.max(most, open);
      await new Promise((resolve) => setImmediate(resolve));
      open -= 1;
      return sound();
    },
    clock: { now: () => NOW, monotonic: () => 0 },
    onEvent: () => undefined,
  });
  const found = await Promise.all(domains.map((domain) => policies.policyFor(name(domain))));
  assert.ok(found.every((policy) => policy.kind === "policy"));
  assert.equal(most, 20);
  cache.close();
});

test("a stop ends what is under way, and what ended so is no failure", async () => {
  const sender = new Sender();
  sender.host = (_, signal) =>
    new Promise((resolve) => signal.addEventListener("abort", () => resolve(FETCH_FAILS), { once: true }));
  const waiting = sender.policy();
  await sender.settle();
  await sender.policies.stop();
  assert.equal(await waiting, "none: sts-policy-fetch-error");
  assert.deepEqual(sender.events, []);
});
