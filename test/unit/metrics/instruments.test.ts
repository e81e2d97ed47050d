import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { createExposition } from "../../../src/metrics/endpoint.ts";
import { createInstruments } from "../../../src/metrics/instruments.ts";
import { groupLabel, protocolLabel, tlsLabel } from "../../../src/metrics/labels.ts";
import type { Observations } from "../../../src/metrics/observations.ts";

const OBSERVED: Observations = {
  queue: { incoming: 1, active: 2, deferred: 3, held: 4 },
  oldestMessageAgeSeconds: 5.5,
  largestWaiting: { mismatch: 13, "starttls-missing": 0, "handshake-failed": 0, bogus: 14, "lookup-failed": 0 },
  connections: { inbound: 6, outbound: 7 },
  policyExceptions: 8,
  nextExceptionExpiry: 1_800_000_000_000,
  spoolDisk: { free: 11, size: 12 },
  unreadableFiles: ["users"],
  dnssecCache: { hits: 9, misses: 10 },
};

/** The lines of one exposition, without comments: `name{labels} value` -> by name and labels. */
function series(text: string): ReadonlyMap<string, string> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line): [string, string] => [line.slice(0, line.lastIndexOf(" ")), line.slice(line.lastIndexOf(" ") + 1)]),
  );
}

test("the exposition passes promtool's lint", () => {
  const check = async (): Promise<void> => {
    const instruments = createInstruments();
    instruments.delivery("deferred", "!dane?");
    const text = await createExposition(instruments, () => Promise.resolve(OBSERVED))();
    const result = spawnSync("promtool", ["check", "metrics"], { input: text, encoding: "utf8" });
    assert.equal(result.error, undefined, "promtool is missing: apt-get install prometheus");
    assert.equal(`${result.stdout}${result.stderr}`, "");
    assert.equal(result.status, 0);
  };
  return check();
});

test("closed label sets begin at zero", async () => {
  const all = series(await createInstruments().registry.metrics());
  assert.equal(all.get('dane_relay_dane_outcomes_total{outcome="mismatch",usage="3"}'), "0");
  assert.equal(all.get('dane_relay_deliveries_total{outcome="deferred",tls="!dane:nocertmatch"}'), "0");
  assert.equal(all.get('dane_relay_dnssec_verdicts_total{type="TLSA",status="bogus"}'), "0");
  assert.equal(all.get('dane_relay_messages_rejected_total{reason="spool-full"}'), "0");
  assert.equal(all.get('dane_relay_dns_query_duration_seconds_count{transport="tcp"}'), "0");
  assert.equal(all.get("dane_relay_dnssec_validating"), "0");
});

test("each method counts in its own metric", async () => {
  const instruments = createInstruments();
  instruments.messageAccepted();
  instruments.messageRejected("relay-denied");
  instruments.delivery("delivered", "dane");
  instruments.daneOutcome("authenticated", "3");
  instruments.dnssecVerdict("MX", "secure");
  instruments.dnssecValidating("validating");
  instruments.dnsSource("recursive");
  instruments.dnsQuery("udp", 0.003);
  instruments.tlsHandshake("TLSv1.3", "prime256v1");
  instruments.deliveryDuration("delivered", 0.2);
  instruments.connectionReused();
  instruments.ambiguousEnding();
  instruments.queueWait(2);
  const all = series(await createExposition(instruments, () => Promise.resolve(OBSERVED))());
  const expected: Readonly<Record<string, string>> = {
    dane_relay_messages_accepted_total: "1",
    'dane_relay_messages_rejected_total{reason="relay-denied"}': "1",
    'dane_relay_deliveries_total{outcome="delivered",tls="dane"}': "1",
    'dane_relay_dane_outcomes_total{outcome="authenticated",usage="3"}': "1",
    'dane_relay_dnssec_verdicts_total{type="MX",status="secure"}': "1",
    dane_relay_dnssec_validating: "1",
    'dane_relay_dns_source{source="recursive"}': "1",
    'dane_relay_dns_source{source="forward"}': "0",
    'dane_relay_dns_query_duration_seconds_bucket{le="0.005",transport="udp"}': "1",
    'dane_relay_dns_query_duration_seconds_bucket{le="0.001",transport="udp"}': "0",
    'dane_relay_tls_handshakes_total{protocol="TLSv1.3",group="P-256"}': "1",
    'dane_relay_delivery_duration_seconds_sum{outcome="delivered"}': "0.2",
    dane_relay_connections_reused_total: "1",
    dane_relay_deliveries_ambiguous_total: "1",
    dane_relay_queue_wait_seconds_count: "1",
    'dane_relay_queue_messages{state="incoming"}': "1",
    'dane_relay_queue_messages{state="held"}': "4",
    dane_relay_queue_oldest_message_age_seconds: "5.5",
    'dane_relay_queue_largest_destination_messages{outcome="mismatch"}': "13",
    'dane_relay_queue_largest_destination_messages{outcome="bogus"}': "14",
    'dane_relay_queue_largest_destination_messages{outcome="lookup-failed"}': "0",
    dane_relay_policy_exceptions_next_expiry_timestamp_seconds: "1800000000",
    dane_relay_spool_free_bytes: "11",
    dane_relay_spool_size_bytes: "12",
    'dane_relay_file_unreadable{file="users"}': "1",
    'dane_relay_file_unreadable{file="certificate"}': "0",
    'dane_relay_connections_open{direction="outbound"}': "7",
    dane_relay_policy_exceptions_active: "8",
    dane_relay_dnssec_cache_hits_total: "9",
    dane_relay_dnssec_cache_misses_total: "10",
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(all.get(name), value, name);
  instruments.dnssecValidating("not-validating");
  assert.equal(series(await instruments.registry.metrics()).get("dane_relay_dnssec_validating"), "0");
});

test("labels are closed: what a peer or a bug brings counts as other", () => {
  const words = [
    "dane",
    "dane-only",
    "dane:halfdane",
    "!dane:nocertmatch",
    "!dane?",
    "may:none",
    "none",
    "!dane-only:notlsa",
    "sts",
  ];
  for (const word of words) assert.equal(tlsLabel(word), word);
  for (const word of ["", "dane:", "dane:x", "mail.example.org", "!!dane", "dane?:may", "dane\n", "halfdane"])
    assert.equal(tlsLabel(word), "other", word);
  assert.deepEqual(["TLSv1.3", "TLSv1.2", "TLSv1.1", "x"].map(protocolLabel), ["TLSv1.3", "TLSv1.2", "other", "other"]);
  assert.deepEqual(
    ["X25519MLKEM768", "X25519", "prime256v1", "secp384r1", "ffdhe2048", undefined, "constructor"].map(groupLabel),
    ["X25519MLKEM768", "X25519", "P-256", "P-384", "ffdhe", "none", "other"],
  );
});

test("a queue that cannot be looked at has no value, not an old one; the rest is told", async () => {
  const instruments = createInstruments();
  let answer: () => Promise<Observations> = () => Promise.resolve(OBSERVED);
  const expose = createExposition(instruments, () => answer());
  await expose();
  answer = () => Promise.reject(new Error("disk"));
  const all = series(await expose());
  assert.equal(all.get('dane_relay_queue_messages{state="incoming"}'), "Nan");
  assert.equal(all.get("dane_relay_queue_oldest_message_age_seconds"), "Nan");
  assert.equal(all.get("dane_relay_messages_accepted_total"), "0");
});

test("scrapes at the same time share one look at the queue", async () => {
  let looks = 0;
  const pending = Promise.withResolvers<Observations>();
  const expose = createExposition(createInstruments(), () => {
    looks += 1;
    return pending.promise;
  });
  const both = [expose(), expose()];
  pending.resolve(OBSERVED);
  const [first, second] = await Promise.all(both);
  assert.equal(looks, 1);
  assert.equal(first, second);
  await expose();
  assert.equal(looks, 2);
});
