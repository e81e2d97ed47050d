import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { readDkimKey } from "../../../src/dkim/signingKey.ts";
import type { PostResult } from "../../../src/reporting/reportPost.ts";
import { type ReportEvent, TlsrptSender, type TlsrptSenderOptions } from "../../../src/reporting/tlsrptSender.ts";
import { TlsrptStore } from "../../../src/reporting/tlsrptStore.ts";
import type { NewMessage } from "../../../src/spool/message.ts";
import type { TlsReport } from "../../../src/tlsrpt/report.ts";
import { checkDkim } from "../../fake/dkimVerifier.ts";
import { type FakeAnswer, FakeResolver } from "../../fake/resolver.ts";

const DAY = Date.UTC(2027, 0, 31);
const HOUR = 3_600_000;
const NEXT = DAY + 24 * HOUR;
const KEYS = generateKeyPairSync("ed25519");
const DKIM = readDkimKey(KEYS.privateKey.export({ type: "pkcs8", format: "pem" }).toString(), {
  domain: "sender.example",
  selector: "s1",
});
const URL = "https://reports.example.org/tlsrpt";

function txt(text: string): FakeAnswer<"TXT"> {
  return { status: "insecure", records: [[Buffer.from(text)]] };
}

describe("reports go out when the day is over (RFC 8460 §4.1, §5)", () => {
  let directory = "";
  let now = DAY;
  let events: ReportEvent[] = [];
  let troubles: unknown[] = [];
  let mails: { message: NewMessage; content: Buffer }[] = [];
  let posts: TlsReport[] = [];
  let postResult: PostResult = { kind: "accepted", status: 201 };
  let records: Record<string, FakeAnswer<"TXT">> = {};
  let asked = 0;
  const clock = {
    now: () => {
      asked += 1;
      return now;
    },
    monotonic: () => 0,
  };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "h2-tlsrpt-"));
    now = DAY + 12 * HOUR;
    [events, troubles, mails, posts] = [[], [], [], []];
    postResult = { kind: "accepted", status: 201 };
    records = {};
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
    assert.deepEqual(troubles, []);
  });

  /** A relay's life: `during` runs while the sender does. */
  const live = async (
    during: (counts: TlsrptStore) => Promise<void>,
    more: Partial<TlsrptSenderOptions> | "without a key" = {},
  ): Promise<void> => {
    const counts = new TlsrptStore({ file: join(directory, "tlsrpt.db"), clock, onTrouble: (error) => troubles.push(error) });
    const sender = new TlsrptSender({
      reporter: { organization: "Sender Inc", contact: "tls@sender.example", hostname: "relay.sender.example" },
      counts,
      resolver: new FakeResolver({ TXT: records }),
      spool: {
        add: (message, content) => {
          mails.push({ message, content });
          return Promise.resolve();
        },
      },
      post: (_, gzip) => {
        posts.push(JSON.parse(gunzipSync(gzip).toString()) as TlsReport);
        return Promise.resolve(postResult);
      },
      ...(DKIM.kind === "key" && more !== "without a key" ? { dkim: DKIM.key } : {}),
      clock,
      random: { below: () => 3599 },
      newId: () => `ID${mails.length}`,
      onEvent: (event) => events.push(event),
      onTrouble: (error) => troubles.push(error),
      lookMilliseconds: 1,
      ...(more === "without a key" ? {} : more),
    });
    sender.start();
    try {
      await during(counts);
    } finally {
      await sender.stop();
      counts.close();
    }
  };

  const count = (counts: TlsrptStore, domain = "example.org"): void => {
    counts.record({ domain, policy: { type: "no-policy-found", domain }, outcome: { kind: "success" } });
    counts.flush();
  };

  /** Some rounds of the sender go by: each asks the clock at least twice, and at most a few times more for what it sends. */
  const rounds = async (): Promise<void> => {
    const before = asked;
    for (let i = 0; i < 1000 && asked < before + 30; i += 1) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.ok(asked >= before + 30);
  };
  const until = async (what: string, condition: () => boolean): Promise<void> => {
    for (let i = 0; i < 500 && !condition(); i += 1) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.ok(condition(), `${what}: ${JSON.stringify(events)}`);
  };

  test("not before its delay, then once to each place, and after a restart not again", async () => {
    records["_smtp._tls.example.org"] = txt(`v=TLSRPTv1; rua=mailto:tls@example.org,${URL}`);
    await live(async (counts) => {
      count(counts);
      await rounds();
      now = NEXT + HOUR - 1;
      await rounds();
      assert.deepEqual(events, []);
    });
    now = NEXT + HOUR;
    await live(async () => until("two reports", () => events.length === 2));
    now = NEXT + 5 * HOUR;
    await live(rounds);
    assert.deepEqual(
      events.toSorted((a, b) => a.uri.localeCompare(b.uri)),
      [
        { domain: "example.org", day: "2027-01-31", uri: URL, result: "posted" },
        { domain: "example.org", day: "2027-01-31", uri: "mailto:tls@example.org", result: "mailed", id: "ID0" },
      ],
    );
    assert.equal(mails.length, 1);
    assert.equal(posts.length, 1);
    assert.deepEqual(posts[0]?.["date-range"], {
      "start-datetime": "2027-01-31T00:00:00Z",
      "end-datetime": "2027-01-31T23:59:59Z",
    });
  });

  test("the mail is signed, marked, and has nobody to answer to", async () => {
    records["_smtp._tls.example.org"] = txt("v=TLSRPTv1; rua=mailto:tls@example.org");
    await live(async (counts) => {
      count(counts);
      now = NEXT + 5 * HOUR;
      await until("the mail", () => mails.length === 1);
    });
    const [mail] = mails;
    assert.ok(mail !== undefined);
    const [signature] = checkDkim(mail.content, (domain, selector) =>
      domain === "sender.example" && selector === "s1" ? createPublicKey(KEYS.privateKey) : undefined,
    );
    assert.equal(`${signature?.bodyHash} ${signature?.signature}`, "holds holds");
    // RFC 8460 §5.3: the fields of TLSRPT SHOULD be signed.
    const signed = signature?.tags.get("h")?.toLowerCase().split(":") ?? [];
    for (const field of ["from", "to", "subject", "tls-report-domain", "tls-report-submitter"])
      assert.ok(signed.includes(field), field);
    const { envelope, recipients } = mail.message;
    assert.equal(envelope.sender, "");
    assert.equal(envelope.purpose, "tls-report");
    assert.equal(envelope.size, mail.content.length);
    assert.deepEqual(recipients, [{ address: "tls@example.org", destination: "example.org", notify: ["NEVER"] }]);
  });

  test("without a key no mail goes out (RFC 8460 §3: it MUST be signed), HTTPS does", async () => {
    records["_smtp._tls.example.org"] = txt(`v=TLSRPTv1; rua=mailto:tls@example.org,${URL}`);
    const counts = new TlsrptStore({ file: join(directory, "tlsrpt.db"), clock, onTrouble: (error) => troubles.push(error) });
    count(counts);
    counts.close();
    now = NEXT + 5 * HOUR;
    await live(() => until("two results", () => events.length === 2), "without a key");
    assert.deepEqual(events.map(({ result }) => result).toSorted(), ["posted", "unsigned"]);
    assert.equal(mails.length, 0);
  });

  test("domains that ask for none get none", async () => {
    records["_smtp._tls.broken.example"] = txt("v=TLSRPTv1; rua=mailto:nobody");
    await live(async (counts) => {
      count(counts);
      count(counts, "broken.example");
      now = NEXT + 5 * HOUR;
      await rounds();
    });
    assert.deepEqual([events, mails, posts], [[], [], []]);
  });

  test("a failed look-up is repeated later", async () => {
    records["_smtp._tls.example.org"] = { status: "fail" };
    await live(async (counts) => {
      count(counts);
      now = NEXT + 5 * HOUR;
      await until("the failure", () => events.length === 1);
      assert.deepEqual([events[0]?.uri, events[0]?.result], ["", "deferred"]);
      records["_smtp._tls.example.org"] = txt(`v=TLSRPTv1; rua=${URL}`);
      await rounds();
      assert.equal(events.length, 1);
      now += HOUR;
      await until("the report", () => events.at(-1)?.result === "posted");
    });
  });

  test("redelivery with growing pauses for 24 hours, then it is given up (RFC 8460 §5.5); with the same id", async () => {
    records["_smtp._tls.example.org"] = txt(`v=TLSRPTv1; rua=${URL}`);
    postResult = { kind: "failed", reason: "it answered with status 503" };
    const times: number[] = [];
    await live(async (counts) => {
      count(counts);
      now = NEXT + 5 * HOUR;
      await until("the first attempt", () => events.length === 1);
    });
    const began = now;
    // A restart in between forgets nothing.
    await live(async ({ tables }) => {
      while (events.at(-1)?.result === "deferred") {
        const attempts = events.length;
        now = Number(tables.database.prepare("SELECT min(due) AS due FROM dispatch WHERE state = 'waiting'").get()?.due);
        times.push((now - began) / 60_000);
        await until("another attempt", () => events.length > attempts);
      }
    });
    assert.deepEqual(times, [5, 15, 35, 75, 155, 315, 555, 795, 1035, 1275]);
    assert.equal(new Set(posts.map((report) => report["report-id"])).size, 1);
    assert.equal(posts.length, times.length + 1);
    assert.match(events.at(-1)?.reason ?? "", /given up after 24 hours.*503/);
  });

  test("a full spool is tried again", async () => {
    records["_smtp._tls.example.org"] = txt("v=TLSRPTv1; rua=mailto:tls@example.org");
    let full = true;
    const spool = {
      add: (message: NewMessage, content: Buffer) => {
        if (full) return Promise.reject(new Error("disk full"));
        mails.push({ message, content });
        return Promise.resolve();
      },
    };
    await live(
      async (counts) => {
        count(counts);
        now = NEXT + 5 * HOUR;
        await until("the failure", () => events.length === 1);
        assert.match(events[0]?.reason ?? "", /could not be queued: disk full/);
        full = false;
        now += HOUR;
        await until("the mail", () => mails.length === 1);
      },
      { spool },
    );
  });

  test("days of long ago are forgotten", async () => {
    records["_smtp._tls.example.org"] = txt(`v=TLSRPTv1; rua=${URL}`);
    await live(async (counts) => count(counts));
    now = NEXT + 8 * 24 * HOUR;
    await live(rounds);
    assert.deepEqual(events, []);
  });
});
