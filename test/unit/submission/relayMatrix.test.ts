import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { createSecureContext } from "node:tls";
import type { MessageWriter, Store } from "../../../src/spool/store.ts";
import { relayPermission } from "../../../src/submission/relayPermission.ts";
import { CLIENT_AUTH, EXPIRED, makeAuthority, makeCertificate, makeLeaf, SERVER_AUTH } from "../../fake/certificates.ts";
import { MemoryStore } from "../../fake/memoryStore.ts";
import { SmtpClient } from "../../fake/smtpClient.ts";
import { startSubmission } from "../../fake/submissionServer.ts";
import { makeUser, openUsers } from "../../fake/submissionUsers.ts";

/**
 * Never an open relay: every combination of the settings that decide who may relay, by every kind of client, at real listeners. Who may is
 * written down here apart from the code: an address of trustedNetworks that is the client's own, a log-in, or, inside TLS, a certificate of
 * clientCaFile that is valid, for clients, and one of clientNames where there are any; and nobody else.
 */
const HOST = "127.116.3.1";
const INSIDE = "127.116.3.2";
const OUTSIDE = "127.116.3.3";
/** Trusted and not, as a load balancer. */
const BALANCER = "127.116.3.4";
const FOLDER = mkdtempSync(join(tmpdir(), "dane-relay-matrix-"));
after(() => rmSync(FOLDER, { recursive: true, force: true }));
const MADE = makeCertificate({ commonName: "relay.example", names: ["relay.example"] });
const certificate = { cert: MADE.certificatePem, key: MADE.keyPem };
const CLIENT_CA = makeAuthority({ commonName: "Clients" });
const CLIENT_LEAF = { names: ["shop.example"], issuer: CLIENT_CA, extendedKeyUsage: [CLIENT_AUTH] };
const SHOWN = {
  none: undefined,
  right: makeLeaf(CLIENT_LEAF),
  "another name": makeLeaf({ ...CLIENT_LEAF, names: ["news.example"] }),
  "a CA of the same name": makeLeaf({ ...CLIENT_LEAF, issuer: makeAuthority({ commonName: "Clients" }) }),
  expired: makeLeaf({ ...CLIENT_LEAF, ...EXPIRED }),
  "for servers": makeLeaf({ ...CLIENT_LEAF, extendedKeyUsage: [SERVER_AUTH] }),
} as const;
type Shown = keyof typeof SHOWN;
/** One for each: to make it costs more than a handshake. */
const CONTEXTS = new Map(
  Object.entries(SHOWN).map(([name, made]) => [
    name,
    createSecureContext(made === undefined ? {} : { cert: made.certificatePem, key: made.keyPem }),
  ]),
);
const USER = await makeUser("user", "password");

const TRUST = { nobody: [], inside: [`${INSIDE}/32`], "inside and the balancer": [`${INSIDE}/32`, `${BALANCER}/32`] } as const;
const USERS = ["no users", "users"] as const;
const TLS = ["no TLS", "TLS"] as const;
const PLAIN_AUTH = ["never", "loopback"] as const;
const PROXY = ["no proxies", "the balancer"] as const;
const CLIENTS = { none: undefined, "all of the CA": [], "one name": ["shop.example"] } as const;
const LISTEN = [HOST, "[::]", "0.0.0.0"] as const;

/** How a client comes: from where, with which header, over what, and what it says of itself. */
const PATHS = [
  ...[INSIDE, OUTSIDE, BALANCER].map((from) => ({ from, header: "" })),
  ...[INSIDE, OUTSIDE].map((told) => ({ from: BALANCER, header: `PROXY TCP4 ${told} ${HOST} 1 25\r\n` })),
  { from: BALANCER, header: "PROXY UNKNOWN\r\n" },
  { from: OUTSIDE, header: `PROXY TCP4 ${INSIDE} ${HOST} 1 25\r\n` },
] as const;
const CHANNELS = ["clear", "starttls", "implicit"] as const;
/** More would only wait for each other. */
const WALKS_AT_A_TIME = 2;
/** All approaches of a walk begin at once: on a busy machine the last of them wait long. */
const PATIENCE_MILLISECONDS = 300_000;
const LOGINS = ["none", "wrong", "right"] as const;

type Settings = {
  trust: keyof typeof TRUST;
  users: (typeof USERS)[number];
  tls: (typeof TLS)[number];
  plainAuth: (typeof PLAIN_AUTH)[number];
  proxy: (typeof PROXY)[number];
  clients: keyof typeof CLIENTS;
  listen: (typeof LISTEN)[number];
};
type Approach = {
  path: (typeof PATHS)[number];
  channel: (typeof CHANNELS)[number];
  login: (typeof LOGINS)[number];
  shown: Shown;
};

/** The rule, in other words than the code's. `no session`: the connection does not get that far. */
function expected(settings: Settings, { path, channel, login, shown }: Approach): "relays" | "refused" | "no session" {
  const isProxy = settings.proxy === "the balancer" && path.from === BALANCER;
  if (isProxy !== (path.header !== "")) return "no session";
  if (channel !== "clear" && settings.tls === "no TLS") return "no session";
  const certificates: Readonly<Record<Settings["clients"], readonly Shown[]>> = {
    none: [],
    "all of the CA": ["right", "another name"],
    "one name": ["right"],
  };
  if (channel !== "clear" && certificates[settings.clients].includes(shown)) return "relays";
  const told = /TCP4 (\S+)/.exec(path.header)?.[1];
  const client = path.header === "" ? path.from : told;
  const trusted: readonly string[] = TRUST[settings.trust];
  if (client !== undefined && trusted.includes(`${client}/32`)) return "relays";
  // All addresses here are of loopback; a proxied one is none for this.
  const mayLogIn = channel !== "clear" || (settings.plainAuth === "loopback" && path.header === "");
  return settings.users === "users" && login === "right" && mayLogIn ? "relays" : "refused";
}

/** The implicit one only where there is TLS. */
type Addresses = { starttls: string; implicit: string | undefined };

/** To the first EHLO inside the channel; undefined: it does not come that far. */
async function begin(client: SmtpClient, { path, channel, shown }: Approach): Promise<SmtpClient | undefined> {
  const secureContext = CONTEXTS.get(shown);
  assert.ok(secureContext !== undefined);
  if (channel === "implicit") {
    client.write(path.header);
    try {
      await client.secure({ secureContext });
    } catch {
      // The server has gone away in place of a handshake; where it should not have, the expectation is another.
      return undefined;
    }
    if (!(await client.reply()).startsWith("220")) return undefined;
    return (await client.command("EHLO client.example")).startsWith("250") ? client : undefined;
  }
  // At once: who waits for a header sees that there is none.
  client.write(`${path.header}EHLO client.example\r\n`);
  if (!(await client.reply()).startsWith("220")) return undefined;
  if (!(await client.reply()).startsWith("250")) return undefined;
  if (channel === "clear") return client;
  if (!(await client.command("STARTTLS")).startsWith("220")) return undefined;
  await client.secure({ secureContext });
  await client.command("EHLO client.example");
  return client;
}

async function approach(addresses: Addresses, one: Approach): Promise<"relays" | "refused" | "no session"> {
  const address = one.channel === "implicit" ? addresses.implicit : addresses.starttls;
  if (address === undefined) return "no session";
  const client = await SmtpClient.connect(address, one.path.from);
  try {
    if ((await begin(client, one)) === undefined) return "no session";
    const { login } = one;
    // The right log-in of a user that exists; the wrong one of one that does not: the throttle is tested elsewhere.
    if (login !== "none")
      await client.command(
        `AUTH PLAIN ${Buffer.from(`\0${login === "right" ? "user" : "nobody"}\0password`).toString("base64")}`,
      );
    const replies = [
      await client.command("MAIL FROM:<a@sender.example>"),
      await client.command("RCPT TO:<u@dest.example>"),
      await client.command("DATA"),
    ];
    const end = replies.at(-1)?.startsWith("354") ? await client.command("Subject: x\r\n\r\nx\r\n.") : "";
    if (end.startsWith("250")) return "relays";
    // Refused means refused at a recipient at the latest, and with a code of policy or sequence, never by an accident.
    assert.match(replies[1] ?? "", /^(?:550 5\.7\.1|530 5\.7\.0|503 5\.5\.1) /);
    return "refused";
  } finally {
    client.destroy();
  }
}

function* combinations<A, B>(left: Iterable<A>, right: readonly B[]): Generator<readonly [A, B]> {
  for (const a of left) for (const b of right) yield [a, b];
}

const BY_LOGIN: readonly Approach[] = [...combinations([...combinations(PATHS, ["clear", "starttls"] as const)], LOGINS)].map(
  ([[path, channel], login]) => ({ path, channel, login, shown: "none" }),
);
/** Each certificate by itself, and beside a log-in that says something else. */
const IDENTITIES: readonly Pick<Approach, "login" | "shown">[] = [
  ...(Object.keys(SHOWN) as Shown[]).map((shown) => ({ login: "none" as const, shown })),
  { login: "right", shown: "none" },
  { login: "right", shown: "expired" },
  { login: "wrong", shown: "right" },
  { login: "wrong", shown: "a CA of the same name" },
];
const BY_CERTIFICATE: readonly Approach[] = PATHS.flatMap((path) => [
  { path, channel: "clear", login: "none", shown: "none" } as const,
  ...(["starttls", "implicit"] as const).flatMap((channel) => IDENTITIES.map((identity) => ({ path, channel, ...identity }))),
]);

/** Counts what it is given: a spool on disk for each combination costs more than all that is looked at here. */
class CountingStore extends MemoryStore {
  accepted = 0;

  override begin(): MessageWriter {
    const commit = (): Promise<void> => {
      this.accepted += 1;
      return Promise.resolve();
    };
    return { write: () => Promise.resolve(), commit, abort: () => undefined };
  }

  override counts(): ReturnType<Store["counts"]> {
    return Promise.resolve({ incoming: this.accepted, active: 0, deferred: 0, held: 0 });
  }
}

let started = 0;

/** `spool`: in memory, or a real one. */
async function walk(settings: Settings, approaches: readonly Approach[], spool: "counted" | "on disk"): Promise<number> {
  started += 1;
  using users = await openUsers(join(FOLDER, `users${started}`), [USER]);
  const accepted = CLIENTS[settings.clients];
  await using server = await startSubmission(HOST, {
    listen: [`${settings.listen}:0`],
    ...(settings.tls === "TLS" ? { implicitTlsListen: [`${settings.listen}:0`] } : {}),
    ...(accepted === undefined ? {} : { clientCertificates: { ca: CLIENT_CA.certificatePem, accepted } }),
    trustedNetworks: TRUST[settings.trust],
    ...(settings.users === "users" ? { authenticator: users.authenticator } : {}),
    ...(settings.tls === "TLS" ? { certificate } : {}),
    authWithoutTls: settings.plainAuth,
    proxyProtocolNetworks: settings.proxy === "the balancer" ? [`${BALANCER}/32`] : [],
    maxConnections: 500,
    proxyHeaderMilliseconds: PATIENCE_MILLISECONDS,
    handshakeMilliseconds: PATIENCE_MILLISECONDS,
    ...(spool === "counted" ? { store: new CountingStore() } : {}),
  });
  const [starttls = "", implicit] = server.listener.addresses().map((bound) => `${HOST}:${bound.split(":").at(-1)}`);
  const verdicts = await Promise.all(approaches.map((one) => approach({ starttls, implicit }, one)));
  for (const [index, one] of approaches.entries())
    assert.equal(verdicts[index], expected(settings, one), JSON.stringify({ settings, ...one }));
  const relayed = verdicts.filter((verdict) => verdict === "relays").length;
  const queued = await server.store.counts();
  assert.equal(queued.incoming, relayed, JSON.stringify(settings));
  return relayed;
}

async function walkAll(all: readonly Settings[], approaches: readonly Approach[]): Promise<ReadonlySet<number>> {
  const relayed = new Set<number>();
  for (let from = 0; from < all.length; from += WALKS_AT_A_TIME) {
    const walks = all.slice(from, from + WALKS_AT_A_TIME).map((settings) => walk(settings, approaches, "counted"));
    for (const count of await Promise.all(walks)) relayed.add(count);
  }
  return relayed;
}

const SETTINGS: Settings[] = [];
for (const trust of ["nobody", "inside", "inside and the balancer"] as const)
  for (const users of USERS)
    for (const tls of TLS)
      for (const plainAuth of PLAIN_AUTH)
        for (const proxy of PROXY) SETTINGS.push({ trust, users, tls, plainAuth, proxy, clients: "none", listen: HOST });

test("nobody relays but trusted addresses and who is logged in, in any combination of settings", async () => {
  const relayed = await walkAll(SETTINGS, BY_LOGIN);
  // From nobody at all to all that is meant to.
  assert.ok(relayed.has(0) && relayed.size > 4);
});

const WITH_CLIENTS: Settings[] = [];
for (const clients of ["all of the CA", "one name"] as const)
  for (const trust of ["nobody", "inside"] as const)
    for (const users of USERS)
      for (const proxy of PROXY)
        WITH_CLIENTS.push({ trust, users, tls: "TLS", plainAuth: "never", proxy, clients, listen: HOST });

for (const proxy of PROXY)
  WITH_CLIENTS.push({ trust: "nobody", users: "no users", tls: "TLS", plainAuth: "never", proxy, clients: "none", listen: HOST });

test("a certificate lets relay only inside TLS, when it is asked for, valid, for clients, and of the right CA and name", async () => {
  const relayed = await walkAll(WITH_CLIENTS, BY_CERTIFICATE);
  assert.ok(relayed.has(0) && relayed.size > 4);
  // A CA without TLS: nobody can show a certificate.
  for (const clients of ["all of the CA", "one name"] as const) {
    const settings = {
      trust: "nobody",
      users: "users",
      tls: "no TLS",
      plainAuth: "never",
      proxy: "no proxies",
      listen: HOST,
    } as const;
    assert.equal(await walk({ ...settings, clients }, BY_CERTIFICATE, "counted"), 0);
  }
});

test("the same at the unspecified addresses, where IPv4 clients may show as IPv6 ones", async () => {
  const settings = { trust: "inside", users: "users", tls: "TLS", plainAuth: "loopback" } as const;
  for (const listen of ["[::]", "0.0.0.0"] as const)
    for (const proxy of PROXY) await walk({ ...settings, proxy, clients: "none", listen }, BY_LOGIN, "on disk");
  await walk({ ...settings, proxy: "the balancer", clients: "one name", listen: "[::]" }, BY_CERTIFICATE, "counted");
});

test("the rule itself, in every combination of what is known of a client", () => {
  let allowed = 0;
  for (const origin of ["direct", "proxied", "unknown"] as const)
    for (const network of ["trusted", "untrusted"] as const)
      for (const identity of ["none", "user", "certificate"] as const)
        for (const authentication of ["none", "possible", "behind-tls"] as const) {
          const permission = relayPermission({ address: "192.0.2.1", origin, network, identity, authentication });
          const may = identity !== "none" || (network === "trusted" && origin !== "unknown");
          assert.equal(permission.kind, may ? "allowed" : "denied");
          if (permission.kind === "denied") {
            const status = { none: "5.7.1", possible: "5.7.0", "behind-tls": "5.7.0" }[authentication];
            assert.equal(permission.rejection.status, status);
          } else allowed += 1;
        }
  assert.equal(allowed, 36 + 6);
});
