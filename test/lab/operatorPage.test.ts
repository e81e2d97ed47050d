import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { SmtpClient } from "../fake/smtpClient.ts";
import { type Peer, startPeer } from "../fake/smtpPeer.ts";
import { PLACES } from "./addresses.ts";
import { openViewer, type Viewer } from "./browser.ts";
import { type Lab, startLab } from "./lab.ts";
import { type RelayProcess, relayPorts, startRelayProcess } from "./relayProcess.ts";
import { SCENARIOS } from "./scenarios.ts";

/** The operator's page in a real browser, of a relay in the lab and of one whose resolver is broken: looked at, read, and used by keyboard. */
const TOKEN = "the-token-of-the-page-test-0123456789";
const DOMAINS = [
  "ee-spki-sha256.lab",
  "ta-cert-sha256.lab",
  "mismatch.lab",
  "expired.lab",
  "no-ds.lab",
  "unsigned.lab",
  "no-starttls.lab",
];
const DESTINATIONS = 50;
const HOSTILE = "<img src=x onerror=alert(1)>";
const DISCARD = 99;
const HOSTILE_PLACE = 98;
/** A receiver that says what a browser might take for markup: a route leads there. */
const HOSTILE_DOMAIN = "hostile.example";
const HOSTILE_WORDS = `</span></td></table><script>document.title='x'</script><a href=//evil.example>log in again</a> ${"\u202e"}gnp.exe`;

function message(recipient: string, sender = "orders@shop.example") {
  return { sender, recipient, content: `From: ${sender}\r\nSubject: ${HOSTILE}\r\n\r\nhello\r\n` };
}

describe("the operator's page", () => {
  let lab: Lab;
  let relay: RelayProcess;
  let broken: RelayProcess;
  let hostile: Peer;
  let viewer: Viewer;

  before(async () => {
    lab = await startLab(SCENARIOS.filter(({ domain }) => DOMAINS.includes(domain)));
    const tokenFile = join(lab.directory, "token");
    await writeFile(tokenFile, `${TOKEN}\n`, { mode: 0o600 });
    const refusal = `451 4.3.0 ${HOSTILE_WORDS}`;
    hostile = await startPeer({
      address: lab.block.address(HOSTILE_PLACE),
      greeting: `220 ${HOSTILE_WORDS}`,
      replies: { RCPT: refusal },
    });
    const delivery = { routes: [{ domain: HOSTILE_DOMAIN, nextHop: `[${hostile.address}]:${hostile.port}` }] };
    relay = await startRelayProcess(lab, "page", { delivery }, { DANE_RELAY_ADMIN_TOKEN_FILE: tokenFile });
    broken = await startRelayProcess(lab, "broken", {
      ...relayPorts(lab, 1),
      upstreams: [lab.block.address(DISCARD)],
      lookupSeconds: 1,
    });
    viewer = await openViewer();
  });

  after(async () => {
    await viewer?.close();
    await broken?.stop();
    await relay?.stop();
    await hostile?.close();
    await lab?.stop();
  });

  const text = (): Promise<string> => viewer.page.evaluate<string>("document.body.innerText");
  const open = (of: RelayProcess, path: string) => viewer.page.goto(`http://${of.admin}${path}`);
  const mustSay = async (wanted: RegExp): Promise<void> => assert.match(await text(), wanted);
  /** Reloads until the page says so: what is waited for happens in the relay. */
  const untilItSays = async (wanted: RegExp): Promise<void> => {
    const deadline = performance.now() + 60_000;
    while (!wanted.test(await text())) {
      assert.ok(performance.now() < deadline, `never said ${wanted}: ${await text()}`);
      await new Promise((resolve) => setTimeout(resolve, 300));
      await viewer.page.reload();
    }
  };

  test("a log-in by keyboard, and an empty queue", async () => {
    const answer = await open(relay, "/queue?state=held");
    assert.equal(answer?.status(), 401);
    await viewer.page.waitForSelector("#token:focus");
    await viewer.look("login");
    await viewer.page.keyboard.type("a wrong token that is long enough");
    await viewer.page.keyboard.press("Enter");
    await viewer.page.waitForSelector("text=This is not the token.");
    await viewer.page.waitForSelector("#token:focus");
    await viewer.page.keyboard.type(TOKEN);
    await viewer.page.keyboard.press("Enter");
    await viewer.page.waitForSelector("text=Nothing in the queue matches.");
    assert.match(viewer.page.url(), /\/queue\?state=held$/);
    await viewer.look("queue-empty");
    await relay.event("the wrong token", ({ event, result }) => event === "authentication" && result === "failed");
    await open(relay, "/");
    await untilItSays(/The relay is fine/);
    await mustSay(/Nothing waits\./);
    await mustSay(/No delivery was attempted/);
    await viewer.look("overview-empty");
  });

  test("what was delivered, what waits and why, and a message's history", async () => {
    await relay.submit(DOMAINS.map((domain) => message(`"${HOSTILE}"@${domain}`)));
    await relay.event("a mismatch", ({ event, dane }) => event === "delivery" && dane === "mismatch");
    await relay.event("a bogus answer", ({ event, dane }) => event === "delivery" && dane === "bogus");
    await relay.event("no STARTTLS", ({ event, dane }) => event === "delivery" && dane === "starttls-missing");
    await relay.event("a delivery", ({ event, dane }) => event === "delivery" && dane === "authenticated");
    await open(relay, "/");
    await untilItSays(/last reason.*mismatch\.lab.*the last six hours/s);
    await viewer.look("overview");
    await viewer.page.click("nav >> text=Queue");
    await viewer.look("queue");
    await viewer.page.click("table >> text=mismatch.lab");
    await viewer.page.click("td a.mono");
    await mustSay(/publishes TLSA 3 1 1 /);
    await mustSay(/!dane:nocertmatch/);
    await viewer.look("message");
    assert.equal(await viewer.page.locator("img, script").count(), 0, "nothing that came from outside is markup");
  });

  test("what a sender, a recipient and a receiver say is text", async () => {
    const client = await SmtpClient.open(`${lab.block.address(PLACES.relay)}:2525`);
    const [sender, recipient] = ["s", "r"].map((name) => `"${name}${HOSTILE}"@${HOSTILE_DOMAIN}`);
    for (const line of [`MAIL FROM:<${sender}>`, `RCPT TO:<${recipient}>`, "DATA", `Subject: ${HOSTILE}\r\n\r\nx\r\n.`])
      assert.match(await client.command(line), /^[23]/, line);
    client.destroy();
    await relay.event("a refusal", ({ event, domain }) => event === "delivery" && domain === HOSTILE_DOMAIN);
    for (const path of ["/", `/queue?domain=${HOSTILE_DOMAIN}`, `/explain?domain=${HOSTILE_DOMAIN}`]) {
      await open(relay, path);
      await mustSay(/<script>document\.title='x'<\/script>/);
      assert.equal(await viewer.page.locator("script, img, a[href*=evil]").count(), 0, path);
      assert.doesNotMatch(await viewer.page.title(), /^x$/);
      await viewer.look(`hostile${path.replace(/[/?].*/s, "")}-${path.slice(1, 4)}`);
    }
    await open(relay, `/queue?domain=${HOSTILE_DOMAIN}`);
    await mustSay(/"r<img src=x onerror=alert\(1\)>"@hostile\.example/);
    await viewer.page.click("td a.mono");
    await mustSay(/"s<img src=x onerror=alert\(1\)>"@hostile\.example/);
    await viewer.look("hostile-message");
    assert.equal(await viewer.page.locator("script, img").count(), 0);
  });

  test("a retry by keyboard alone", async () => {
    await open(relay, "/queue");
    await viewer.tabTo("Skip to the content");
    await viewer.look("focus");
    await viewer.tabTo("choose");
    await viewer.page.keyboard.press("Space");
    await viewer.tabTo("Hold");
    await viewer.page.keyboard.press("Enter");
    await viewer.page.waitForSelector("[role=status] >> text=1 entry held.");
    await relay.event("the audit line", ({ event, action, who }) => event === "audit" && action === "hold" && who === "session");
    await viewer.tabTo("choose");
    await viewer.tabTo("choose");
    await viewer.page.keyboard.press("Space");
    await viewer.tabTo("Retry now");
    await viewer.page.keyboard.press("Enter");
    await viewer.page.waitForSelector("[role=status] >> text=/1 entry due now|attempt is under way/");
    await relay.event(
      "the audit line",
      ({ event, action, changed }) => event === "audit" && action === "retry" && changed !== undefined,
    );
  });

  test("a deletion asks first", async () => {
    // That of expired.lab may just be tried again.
    await open(relay, "/queue?domain=no-starttls.lab");
    await viewer.page.click("td a.mono");
    const { pathname } = new URL(viewer.page.url());
    const id = pathname.replace("/queue/", "");
    const isDeletion = ({ event, action }: Readonly<Record<string, unknown>>): boolean =>
      event === "audit" && action === "delete";
    await viewer.page.click("text=Delete…");
    await mustSay(/Delete for good\?.*cannot be undone/s);
    await viewer.look("delete");
    await viewer.page.click("text=No, go back");
    await mustSay(/Who still waits/);
    assert.equal(relay.events().filter(isDeletion).length, 0);
    await viewer.page.click("text=Delete…");
    await viewer.page.click("text=Yes, delete");
    await viewer.page.waitForSelector("[role=status] >> text=1 entry deleted.");
    await mustSay(/It is not in the queue/);
    const audit = await relay.event("the audit line", isDeletion);
    assert.deepEqual(
      { who: audit.who, filter: audit.filter, outcome: audit.outcome, changed: audit.changed, client: typeof audit.client },
      { who: "session", filter: { ids: [id] }, outcome: "done", changed: 1, client: "string" },
    );
    await viewer.look("deleted");
  });

  for (const [domain, wanted] of [
    ["ee-spki-sha256.lab", /Deliverable.*by DANE, authenticated.*matches/s],
    ["mismatch.lab", /Not deliverable.*tlsa-mismatch.*IN TLSA 3 1 1 /s],
    ["expired.lab", /Not deliverable.*dnssec-expired/s],
    ["unsigned.lab", /Deliverable.*dnssec-unsigned/s],
    ["no-ds.lab", /dnssec-no-ds.*IN DS/s],
  ] as const) {
    test(`explains ${domain}`, async () => {
      await open(relay, "/explain");
      await viewer.page.fill("#domain", domain);
      await viewer.page.keyboard.press("Enter");
      await viewer.page.waitForSelector("section.verdict");
      await mustSay(wanted);
      await viewer.look(`explain-${domain}`);
    });
  }

  test("fifty destinations and a broken resolver, read without a token", async () => {
    await broken.submit(Array.from({ length: DESTINATIONS }, (_, n) => message(`user@customer-${n}.example`)));
    await open(broken, "/");
    await untilItSays(/Tried, waiting\s+50/);
    await mustSay(/The relay is degraded.*not validating/s);
    await mustSay(/35 destinations more/);
    await mustSay(/admin\.tokenFile/);
    await viewer.look("overview-broken");
    await open(broken, "/queue");
    assert.equal(await viewer.page.locator("tbody tr").count(), DESTINATIONS);
    assert.equal(await viewer.page.locator("button >> text=Retry").count(), 0, "nothing to act with");
    await viewer.look("queue-broken");
    await open(broken, "/explain?domain=example.org");
    await mustSay(/needs the token/);
    await viewer.look("explain-reader");
  });

  test("on paper", async () => {
    await viewer.page.emulateMedia({ media: "print" });
    for (const [of, path] of [
      [broken, "/"],
      [relay, "/queue"],
      [relay, "/explain?domain=mismatch.lab"],
    ] as const) {
      await open(of, path);
      assert.equal(await viewer.page.locator("nav, button, input").filter({ visible: true }).count(), 0, "nothing to press");
      assert.ok((await viewer.page.locator("h1, h2").filter({ visible: true }).count()) > 0);
      await viewer.print(`print${path.replace(/[^a-z]/g, "-")}`);
    }
    await viewer.page.emulateMedia({ media: "screen" });
  });

  test("in the dark", async () => {
    await viewer.page.emulateMedia({ colorScheme: "dark" });
    await open(broken, "/");
    await viewer.look("overview-dark");
    await open(relay, "/explain?domain=mismatch.lab");
    await viewer.look("explain-dark");
    await viewer.page.emulateMedia({ colorScheme: "light" });
  });

  test("the browser had nothing to complain of", () => {
    assert.deepEqual(viewer.complaints, []);
  });
});
