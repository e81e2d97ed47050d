import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { systemClock, systemRandom } from "../../../src/clock.ts";
import { RR_TYPE } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { presentRdata } from "../../../src/dns/rdataText.ts";
import { createRecursor } from "../../../src/resolver/recursor.ts";
import { createTransport } from "../../../src/resolver/socketTransport.ts";
import type { Source } from "../../../src/resolver/source.ts";
import { type Daemon, startDaemon } from "../../lab/daemon.ts";
import { signZone } from "../../lab/sign.ts";

/** The recursor on real sockets, against three NSDs (Debian packages nsd and ldnsutils): a root, a zone below and one below that, signed. */

const PORT = 5399;
const ROOT = "127.13.1.1";
const TEST = "127.13.1.2";
const CHILD = "127.13.1.3";
const NOBODY = "127.13.1.4";

const soa = (ns: string) => `@ 3600 IN SOA ${ns} hostmaster.test. 1 7200 3600 86400 300`;
const big = Array.from({ length: 60 }, (_, i) => `big 3600 IN TXT "${"x".repeat(60)}${i}"`);
const CHILD_ZONE = [
  soa("ns1.child.test."),
  "@ 3600 IN NS ns1.child.test.",
  "@ 3600 IN NS ns2.child.test.",
  `ns1 3600 IN A ${CHILD}`,
  `ns2 3600 IN A ${NOBODY}`,
  "@ 3600 IN MX 10 mail.child.test.",
  "mail 3600 IN A 203.0.113.25",
  "alias 3600 IN CNAME mail.elsewhere.test.",
  "_25._tcp.mail 3600 IN TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
  ...big,
  "",
].join("\n");

const transport = createTransport();
const daemons: Daemon[] = [];
let directory = "";
let source: Source;

async function startNsd(address: string, zone: string, text: string): Promise<void> {
  const home = join(directory, address);
  mkdirSync(home);
  writeFileSync(join(home, "zone"), text);
  const lines = [
    "server:",
    `  ip-address: ${address}@${PORT}`,
    '  username: ""\n  chroot: ""\n  database: ""\n  server-count: 1\n  do-ip6: no\n  rrl-ratelimit: 0\n  rrl-whitelist-ratelimit: 0',
    `  zonesdir: "${home}"\n  zonelistfile: "${home}/list"\n  xfrdfile: "${home}/xfrd"\n  xfrdir: "${home}"\n  pidfile: "${home}/pid"`,
    "remote-control:\n  control-enable: no",
    `zone:\n  name: "${zone}"\n  zonefile: "${home}/zone"\n`,
  ];
  writeFileSync(join(home, "nsd.conf"), lines.join("\n"));
  const query = { name: name(zone), type: RR_TYPE.SOA, recursionDesired: false, checkingDisabled: false };
  const ready = async () => (await transport.exchange({ address, port: PORT }, query, 200)).kind === "response";
  const command = { command: "/usr/sbin/nsd", arguments: ["-d", "-c", join(home, "nsd.conf")] };
  daemons.push(await startDaemon({ name: `nsd ${zone}`, ...command, logFile: join(home, "log"), ready }));
}

before(async () => {
  directory = mkdtempSync(join(tmpdir(), "dane-relay-recursor-"));
  const child = await signZone(join(directory, "child"), "child.test", `$ORIGIN child.test.\n${CHILD_ZONE}`, {
    algorithm: 13,
    denial: "nsec",
    keys: "csk",
    signer: "ldns",
    validity: "current",
  });
  await startNsd(
    ROOT,
    ".",
    `$ORIGIN .\n${soa("ns.")}\n. 3600 IN NS ns.\nns. 3600 IN A ${ROOT}\ntest. 3600 IN NS ns.test.\nns.test. 3600 IN A ${TEST}\n`,
  );
  const cut = [
    `child 3600 IN NS ns1.child`,
    `child 3600 IN NS ns2.child`,
    `ns1.child 3600 IN A ${CHILD}`,
    `ns2.child 3600 IN A ${NOBODY}`,
  ];
  const ds = child.ds.map((record) => (record.startsWith("child.test") ? record : `child ${record}`));
  const parent = ["$ORIGIN test.", soa("ns.test."), "@ 3600 IN NS ns.test.", `ns 3600 IN A ${TEST}`, ...cut, ...ds, ""];
  const signed = await signZone(join(directory, "test"), "test", parent.join("\n"), {
    algorithm: 13,
    denial: "nsec3",
    keys: "csk",
    signer: "ldns",
    validity: "current",
  });
  await startNsd(TEST, "test.", signed.text);
  await startNsd(CHILD, "child.test.", child.text);
  source = createRecursor({
    transport,
    clock: systemClock,
    random: systemRandom,
    rootHints: [{ name: name("ns."), addresses: [ROOT] }],
    allowLoopback: true,
    ipv6: false,
    ports: new Map([ROOT, TEST, CHILD, NOBODY].map((address) => [address, PORT])),
  });
});

after(async () => {
  await Promise.all(daemons.map((daemon) => daemon.stop()));
  transport.close();
  if (directory !== "") rmSync(directory, { recursive: true });
});

async function answerTo(
  owner: string,
  type: number,
): Promise<{ rcode: number; answer: string[]; signed: boolean; proofs: number }> {
  const answer = await source.ask(name(owner), type);
  assert.ok(answer.kind === "message", answer.kind === "failed" ? answer.reason : "");
  const { message } = answer;
  const plain = message.answer.filter((record) => record.type !== RR_TYPE.RRSIG);
  const proofs = message.authority.filter((record) => record.type === RR_TYPE.NSEC || record.type === RR_TYPE.NSEC3);
  return {
    rcode: message.rcode,
    answer: plain.map((record) => presentRdata(record.type, record.rdata)),
    signed: [...message.answer, ...message.authority].some((record) => record.type === RR_TYPE.RRSIG),
    proofs: proofs.length,
  };
}

test("records, aliases and denials of a signed zone come with their signatures", async () => {
  assert.deepEqual(await answerTo("child.test", RR_TYPE.MX), {
    rcode: 0,
    answer: ["10 mail.child.test."],
    signed: true,
    proofs: 0,
  });
  assert.deepEqual((await answerTo("mail.child.test", RR_TYPE.A)).answer, ["203.0.113.25"]);
  assert.match((await answerTo("_25._tcp.mail.child.test", RR_TYPE.TLSA)).answer[0] ?? "", /^3 1 1 0123/);
  assert.deepEqual((await answerTo("alias.child.test", RR_TYPE.A)).answer, ["mail.elsewhere.test."]);
  const absent = await answerTo("none.child.test", RR_TYPE.A);
  assert.ok(absent.rcode === 3 && absent.signed && absent.proofs > 0);
  const nodata = await answerTo("mail.child.test", RR_TYPE.AAAA);
  assert.ok(nodata.rcode === 0 && nodata.answer.length === 0 && nodata.proofs > 0);
});

test("DS comes from the parent, DNSKEY from the child", async () => {
  const ds = await answerTo("child.test", RR_TYPE.DS);
  assert.ok(ds.answer.length > 0 && ds.signed);
  assert.equal((await answerTo("child.test", RR_TYPE.DNSKEY)).answer.length, 1);
  const none = await answerTo("nothing.test", RR_TYPE.DS);
  assert.ok(none.rcode === 3 && none.proofs > 0);
});

test("an answer too long for a datagram comes by TCP, whole", async () => {
  assert.equal((await answerTo("big.child.test", RR_TYPE.TXT)).answer.length, big.length);
});

test("a server where nobody listens gives a failure when it is the only one to ask", async () => {
  assert.equal((await source.ask(name("www.child.test"), RR_TYPE.A, { avoid: new Set([`${CHILD}#${PORT}`]) })).kind, "failed");
});
