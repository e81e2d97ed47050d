import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { PLACES } from "./addresses.ts";
import { type Lab, startLab } from "./lab.ts";
import { type PostfixClient, type PostfixDelivery, startPostfixClient } from "./postfixClient.ts";
import { type Finger, preparePosttlsFinger } from "./posttlsFinger.ts";
import { recipientIn } from "./rowCheck.ts";
import type { Expected } from "./scenario.ts";
import { SCENARIOS } from "./scenarios.ts";

/**
 * The rows of the lab sent by Postfix, `smtp_tls_security_level = dane`, and looked at by posttls-finger. Two implementations of RFC 7672
 * that share no code have to agree with the table; where one does not, the difference and its reason stand here.
 */
type Seen = Pick<PostfixDelivery, "outcome" | "channel">;

const DELIVERY_SECONDS = 120;
const FINGERS = 4;

const NO_MTA_STS =
  "Postfix knows no MTA-STS (RFC 8461) without a policy server of its own: opportunistic TLS is all that it asks for";

const DIFFERENCES: Readonly<Record<string, { postfix: Seen; because: string }>> = {
  "halfdane-next-hop-name.lab": {
    postfix: { outcome: "delivered", channel: "Trusted" },
    because:
      "Postfix also takes the next-hop domain as a name of the certificate when the MX record is not signed; RFC 7672 §3.2.2 has the MX host's name " +
      "as the only one. Postfix does not call such a connection verified, and sends",
  },
  "no-tlsa-no-cipher.lab": {
    postfix: { outcome: "delivered", channel: "Anonymous" },
    because:
      "both ends know anonymous Diffie-Hellman, which Postfix offers where it need not authenticate; the relay does not offer it and sends in clear text",
  },
  "sts-mx-mismatch.lab": { postfix: { outcome: "delivered", channel: "Untrusted" }, because: NO_MTA_STS },
  "sts-no-starttls.lab": { postfix: { outcome: "delivered", channel: "clear" }, because: NO_MTA_STS },
  "sts-stripped.lab": { postfix: { outcome: "delivered", channel: "clear" }, because: NO_MTA_STS },
  "sts-self-signed.lab": { postfix: { outcome: "delivered", channel: "Untrusted" }, because: NO_MTA_STS },
  "sts-wrong-name.lab": { postfix: { outcome: "delivered", channel: "Untrusted" }, because: NO_MTA_STS },
  "sts-expired.lab": { postfix: { outcome: "delivered", channel: "Untrusted" }, because: NO_MTA_STS },
  "sts-no-tlsa.lab": { postfix: { outcome: "delivered", channel: "Untrusted" }, because: NO_MTA_STS },
  "sts-halfdane-pkix.lab": {
    postfix: { outcome: "delivered", channel: "Trusted" },
    because: `${NO_MTA_STS}; here the TLSA records of the MX host match, and PKIX would not`,
  },
};

function nextHopOf(recipient: string): string {
  return recipient.slice(recipient.lastIndexOf("@") + 1);
}

/** What Postfix would call the connection that the table expects; nothing was sent where nothing was delivered. */
function wordFor({ tls, outcome }: Expected): PostfixDelivery["channel"] | "none" {
  if (outcome !== "delivered") return "none";
  if (tls === "dane") return "Verified";
  // Half a chain: authenticated, but for whom an attacker chose the name.
  if (tls === "dane:halfdane") return "Trusted";
  return tls === "may:none" ? "clear" : "Untrusted";
}

function sameAs(expected: Expected, seen: Seen): boolean {
  // The relay has one more word for a session under MTA-STS and half of DANE.
  if (expected.tls === "sts" && seen.channel === "Trusted") return expected.outcome === seen.outcome;
  const word = wordFor(expected);
  return expected.outcome === seen.outcome && (word === "none" || word === seen.channel);
}

/** What posttls-finger sees: it speaks to one host, tells the truth about it, and sends no mail, so that a mismatch is only untrusted. */
const FINGER_DIFFERENCES: Readonly<Record<string, { word: Finger["word"]; because: string }>> = {
  "first-mismatch.lab": { word: "Untrusted", because: "it is content with the first host that speaks TLS" },
  "first-no-starttls.lab": { word: "none", because: "it is content with the first host that speaks SMTP" },
  "shared-by-two.lab": { word: "Untrusted", because: "it is content with the first host that speaks TLS" },
};

function fingerWordFor(domain: string, expected: Expected): readonly Finger["word"][] {
  const other = FINGER_DIFFERENCES[domain]?.word ?? DIFFERENCES[domain]?.postfix.channel;
  if (other !== undefined) return [other === "clear" || other === "Anonymous" ? "none" : other];
  if (expected.tls.endsWith(":nocertmatch")) return ["Untrusted"];
  if (expected.tls === "sts") return ["Untrusted", "Trusted"];
  const word = wordFor(expected);
  return [word === "clear" ? "none" : word];
}

/** Asks all domains, a few at a time. */
function fingerAll(domains: readonly string[], ask: (domain: string) => Promise<Finger>): Map<string, Promise<Finger>> {
  const answers = new Map(domains.map((domain) => [domain, Promise.withResolvers<Finger>()]));
  const queue = [...answers];
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [domain, { resolve, reject }] = next;
      await ask(domain).then(resolve, reject);
    }
  };
  for (let number = 0; number < FINGERS; number += 1) void worker();
  return new Map([...answers].map(([domain, { promise }]) => [domain, promise]));
}

describe("Postfix as the sender", () => {
  let lab: Lab;
  let client: PostfixClient;
  let fingers: Map<string, Promise<Finger>>;

  before(async () => {
    lab = await startLab(SCENARIOS);
    const directory = join(lab.directory, "postfix-client");
    client = await startPostfixClient(directory, lab.block.address(PLACES.relay), lab.validatingRecursor);
    const recipients = lab.world.scenarios.map(({ recipient = "" }) => recipient);
    await client.submit(recipients);
    // One after the other: a machine that is busy lets look-ups fail, which is an outcome too.
    for (const recipient of recipients) await deliveryTo(recipient);
    const ask = await preparePosttlsFinger(directory, lab.validatingRecursor);
    fingers = fingerAll([...new Set(recipients.map(nextHopOf))], ask);
  });

  after(async () => {
    await Promise.allSettled(fingers?.values() ?? []);
    await client?.daemon.stop();
    await lab?.stop();
  });

  const deliveryTo = async (recipient: string): Promise<PostfixDelivery> => {
    const deadline = performance.now() + DELIVERY_SECONDS * 1000;
    for (;;) {
      const found = await client.deliveryOf(recipient);
      if (found !== undefined) return found;
      assert.ok(performance.now() < deadline, `Postfix said nothing of ${recipient}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };

  for (const { domain, shows, expected } of SCENARIOS) {
    const difference = DIFFERENCES[domain];
    test(`${domain}: ${shows}: ${difference === undefined ? "as the table says" : difference.because}`, async () => {
      const seen = await deliveryTo(recipientIn(lab, domain));
      if (difference === undefined) assert.ok(sameAs(expected, seen), JSON.stringify({ expected, seen }));
      else {
        assert.deepEqual({ outcome: seen.outcome, channel: seen.channel }, difference.postfix, seen.text);
        assert.ok(!sameAs(expected, seen), "there is no difference");
      }
    });
  }

  for (const { domain, expected } of SCENARIOS) {
    const because = FINGER_DIFFERENCES[domain]?.because ?? "as it has to be";
    test(`posttls-finger ${domain}: ${because}`, async () => {
      const seen = await fingers.get(nextHopOf(recipientIn(lab, domain)));
      assert.ok(seen !== undefined && fingerWordFor(domain, expected).includes(seen.word), JSON.stringify({ expected, seen }));
    });
  }

  test("each difference belongs to a row", () => {
    const domains = new Set(SCENARIOS.map(({ domain }) => domain));
    assert.deepEqual(
      [...Object.keys(DIFFERENCES), ...Object.keys(FINGER_DIFFERENCES)].filter((domain) => !domains.has(domain)),
      [],
    );
  });
});
