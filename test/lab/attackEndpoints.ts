import { chainPem, EXPIRED, makeAuthority, makeLeaf, NOT_YET_VALID } from "../fake/certificates.ts";
import { type Peer, type PeerScript, type PeerStarttls, startPeer } from "../fake/smtpPeer.ts";
import type { Identity, Pki } from "./pki.ts";

/**
 * The attacker's own mail servers. Each takes whatever it is given and remembers it; they differ in what they present and how they
 * begin. Several have certificates that the lab's CA issued: anybody can have one from a public CA.
 */
export const ENDPOINT_NAMES = [
  "self-signed",
  "ca-signed-other-name",
  "ca-signed-expired",
  "ca-signed-not-yet-valid",
  "signed-by-another-ca",
  "signed-by-a-leaf",
  "genuine-certificates-behind",
  "old-protocol",
  "weak-cipher",
  "inject-behind-220",
  "no-starttls",
  "stripped",
  "refuses-starttls",
  "refuses-starttls-for-good",
  "garbage",
  "closes",
  "hangs-up-greeting",
  "rejects-greeting",
  "rejects-ehlo",
  "helo-only",
] as const;

export type EndpointName = (typeof ENDPOINT_NAMES)[number];

export type Endpoints = {
  of: (name: string) => Peer;
  all: readonly Peer[];
  stop: () => Promise<void>;
};

const INJECTED = "250-mx\r\n250 PIPELINING\r\n250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n250 2.0.0 queued\r\n";
/** REQUIRETLS too: the attacker promises everything. */
const EXTENSIONS = ["PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 52428800", "DSN", "ENHANCEDSTATUSCODES", "REQUIRETLS"];

type Script = Partial<Pick<PeerScript, "starttls" | "greeting" | "replies">>;

/** `names`: those of all victims, which every certificate of the attacker's claims unless it says otherwise. */
function scripts(pki: Pki, names: readonly string[], genuine: readonly Identity[]): Readonly<Record<EndpointName, Script>> {
  const own = makeLeaf({ names });
  const another = makeAuthority({ commonName: "dane-relay lab CA" });
  const byAnother = makeLeaf({ names, issuer: another });
  const otherName = makeLeaf({ names: ["mx.evil.invalid"], issuer: pki.ca });
  const byLeaf = makeLeaf({ names, issuer: otherName });
  const expired = makeLeaf({ names, issuer: pki.ca, ...EXPIRED });
  const notYetValid = makeLeaf({ names, issuer: pki.ca, ...NOT_YET_VALID });
  const accept = (leaf: { keyPem: string }, cert: string): PeerStarttls => ({ accept: { key: leaf.keyPem, cert } });
  const behind = chainPem(own, ...genuine.map(({ leaf }) => leaf), pki.ca);
  return {
    "self-signed": { starttls: accept(own, chainPem(own)) },
    "ca-signed-other-name": { starttls: accept(otherName, chainPem(otherName, pki.ca)) },
    "ca-signed-expired": { starttls: accept(expired, chainPem(expired, pki.ca)) },
    "ca-signed-not-yet-valid": { starttls: accept(notYetValid, chainPem(notYetValid, pki.ca)) },
    "signed-by-another-ca": { starttls: accept(byAnother, chainPem(byAnother, another, pki.ca)) },
    "signed-by-a-leaf": { starttls: accept(byLeaf, chainPem(byLeaf, otherName, pki.ca)) },
    "genuine-certificates-behind": { starttls: accept(own, behind) },
    "old-protocol": {
      starttls: {
        accept: {
          key: own.keyPem,
          cert: chainPem(own),
          minVersion: "TLSv1",
          maxVersion: "TLSv1.1",
          ciphers: "DEFAULT:@SECLEVEL=0",
        },
      },
    },
    "weak-cipher": {
      starttls: { accept: { key: own.keyPem, cert: chainPem(own), maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-SHA" } },
    },
    "inject-behind-220": { starttls: { accept: { key: own.keyPem, cert: chainPem(own) }, inject: INJECTED } },
    "no-starttls": {},
    stripped: { starttls: "stripped" },
    "refuses-starttls": { starttls: { refuse: "454 4.7.0 TLS not available" } },
    "refuses-starttls-for-good": { starttls: { refuse: "554 5.7.0 no TLS for you" } },
    garbage: { starttls: { broken: "garbage" } },
    closes: { starttls: { broken: "close" } },
    "hangs-up-greeting": { greeting: { afterwards: "close" } },
    "rejects-greeting": { greeting: "554 5.7.1 you are not welcome" },
    "rejects-ehlo": { replies: { EHLO: "550 5.7.1 no", HELO: "550 5.7.1 no" } },
    "helo-only": { replies: { EHLO: "502 5.5.1 unknown" } },
  };
}

export async function startEndpoints(
  address: string,
  pki: Pki,
  names: readonly string[],
  genuine: readonly Identity[],
): Promise<Endpoints> {
  const table = scripts(pki, names, genuine);
  const peers = new Map<string, Peer>();
  for (const name of ENDPOINT_NAMES) peers.set(name, await startPeer({ address, extensions: EXTENSIONS, ...table[name] }));
  return {
    of: (name) => {
      const peer = peers.get(name);
      if (peer === undefined) throw new Error(`no endpoint ${name}`);
      return peer;
    },
    all: [...peers.values()],
    stop: async () => {
      await Promise.all([...peers.values()].map((peer) => peer.close()));
    },
  };
}
