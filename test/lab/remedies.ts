import type { Actor, FailureClass, Severity } from "../../src/diagnosis/finding.ts";
import type { DaneOutcome } from "../../src/policy/disposition.ts";
import { chainPem } from "../fake/certificates.ts";
import { issue, type Pki } from "./pki.ts";
import type { Receiver } from "./world.ts";

/** A domain of the lab for each failure class: what `explain` has to say of it, and what somebody then does who takes it at its word. */
export type Trouble = {
  class: FailureClass;
  domain: string;
  actor: Actor;
  severity?: Severity;
  /** The link: zone, host or domain that the finding is about. */
  host: string;
  /** What stands in the explanation, and in what to do. */
  says: RegExp;
  mend: Mend;
  /** What DANE comes to for mail to the mended domain. */
  afterwards: DaneOutcome;
};

/**
 * paste: the finding's lines into the zones that hold them. policy: into the policy file. sign: the zone again; sign-first: one that was not,
 * and its DS to the parent. records: what only its owner can know. receiver: the mail server is changed so. name-servers: they are repaired.
 * resolver: resolver.mode, as it says.
 */
export type Mend =
  | { by: "paste" | "policy" | "sign" | "sign-first" | "name-servers" | "resolver" }
  | { by: "records"; records: (address: string) => readonly string[]; change?: Change }
  | { by: "receiver"; change: Change };
export type Change = (receiver: Receiver, pki: Pki) => void;

const switchOn: Change = (receiver) => {
  receiver.server = "postfix";
};
const newCertificate: Change = (receiver, pki) => {
  receiver.identity = issue(pki, receiver.name, {});
};
const sameKey: Change = (receiver, pki) => {
  receiver.identity = issue(pki, receiver.name, {}, receiver.identity.leaf.keys);
};
const wholeChain: Change = ({ identity }, pki) => {
  identity.chainPem = chainPem(identity.leaf, pki.ca);
};

/** Its certificate is renewed after a relay has seen the one before. */
export const RENEWED = { domain: "ee-spki-sha256.lab", host: "mx.ee-spki-sha256.lab", change: newCertificate } as const;
/** What is asked through a resolver that strips signatures. */
export const STRIPPED = "ee-spki-sha512.lab";

type About = Pick<Trouble, "says"> & Partial<Pick<Trouble, "host" | "severity" | "afterwards">>;

/** A record at a mail host's name, which its DNS operator replaces. */
function ofRecord(name: FailureClass, domain: string, about: About): Trouble {
  return {
    class: name,
    domain,
    actor: "dns-operator",
    host: `mx.${domain}`,
    mend: { by: "paste" },
    afterwards: "authenticated",
    ...about,
  };
}

function ofServer(name: FailureClass, domain: string, change: Change, about: About): Trouble {
  const mend = { by: "receiver", change } as const;
  return { class: name, domain, actor: "mail-operator", host: `mx.${domain}`, mend, afterwards: "authenticated", ...about };
}

function ofZone(name: FailureClass, domain: string, by: "sign" | "sign-first" | "name-servers", about: About): Trouble {
  return { class: name, domain, actor: "dns-operator", host: domain, mend: { by }, afterwards: "authenticated", ...about };
}

function ofParent(name: FailureClass, domain: string, about: About): Trouble {
  return {
    class: name,
    domain,
    actor: "parent-zone",
    host: domain,
    mend: { by: "paste" },
    afterwards: "authenticated",
    ...about,
  };
}

export const TROUBLES: readonly Trouble[] = [
  ofZone("dnssec-unsigned", "unsigned.lab", "sign-first", {
    severity: "info",
    says: /lab delegates unsigned\.lab without a DS record.* sign unsigned\.lab with DNSSEC, then have its DS record published in the parent zone/,
  }),
  ofParent("dnssec-no-ds", "no-ds.lab", {
    severity: "warning",
    says: /ends at no-ds\.lab\..* is signed, but its parent has no DS record for it: hand this one to the registrar/,
  }),
  ofZone("dnssec-expired", "expired.lab", "sign", {
    says: /expired 30 days ago\. .*ends at expired\.lab\. sign expired\.lab again/,
  }),
  ofZone("dnssec-not-yet-valid", "future.lab", "sign", {
    says: /ends at future\.lab\. set the clock of the signer of future\.lab right/,
  }),
  ofParent("dnssec-unknown-key", "wrong-ds.lab", {
    says: /ends at wrong-ds\.lab\. have the DS records of wrong-ds\.lab in the parent zone replaced/,
  }),
  ofZone("dnssec-bad-signature", "bogus-mx.lab", "sign", { says: /fault is in its answer\. sign bogus-mx\.lab again/ }),
  ofZone("dnssec-bad-denial", "bogus-denial.lab", "sign", {
    says: /not proved that bogus-denial\.lab has no MX.* sign bogus-denial\.lab again, so that its NSEC/,
    afterwards: "no-tlsa",
  }),
  ofZone("dnssec-lookup-failed", "tlsa-servfail.lab", "name-servers", {
    host: "mx.tlsa-servfail.lab",
    says: /SERVFAIL.* see whether the name servers of tlsa-servfail\.lab answer TLSA questions/,
  }),
  {
    class: "dnssec-stripped",
    domain: STRIPPED,
    actor: "resolver-operator",
    host: STRIPPED,
    says: /no signature.* use a resolver that passes DNSSEC records on, or set resolver\.mode to recursive \(now: asking upstreams/,
    mend: { by: "resolver" },
    afterwards: "authenticated",
  },
  ofRecord("tlsa-unusable", "unusable.lab", {
    severity: "warning",
    says: /usage 1 is not for SMTP.* publish a record with usage 3, selector 1, matching type 1/,
  }),
  ofRecord("tlsa-wrong-parameters", "wrong-selector.lab", {
    says: /selector 0 instead of 1.* correct the numbers of the record/,
  }),
  ofRecord("tlsa-empty-digest", "empty-digest.lab", { says: /digest of nothing.* replace/ }),
  ofRecord("tlsa-outdated-certificate", RENEWED.domain, {
    says: /a certificate that the host had until \d{4}-\d\d-\d\d; it was renewed, and the record was not\. .*replace/,
  }),
  ofRecord("tlsa-shared-by-mistake", "shared-by-mistake.lab", {
    says: /record of another host, other\.shared-by-mistake\.lab.* give mx\.shared-by-mistake\.lab a record of its own/,
  }),
  ofRecord("tlsa-wrong-ca-key", "ta-former-key.lab", { says: /another key issued the server's certificate.* replace/ }),
  ofRecord("tlsa-mismatch", "mismatch.lab", { says: /matches no certificate that the host sent.* replace/ }),
  ofServer("starttls-missing", "no-starttls.lab", switchOn, {
    says: /offers no STARTTLS, but its TLSA records promise it\. switch STARTTLS on/,
  }),
  ofServer("starttls-refused", "starttls-454.lab", switchOn, {
    says: /refuses it \(454 .*often its key does not belong to its certificate/,
  }),
  ofServer("handshake-failed", "no-common-cipher.lab", switchOn, {
    says: /TLS handshake failed.* a certificate with its key has to be installed/,
  }),
  ofServer("certificate-expired", "ta-expired.lab", newCertificate, { says: /expired at 2020-01-01.* renew the certificate/ }),
  ofServer("certificate-name-mismatch", "ta-wrong-name.lab", newCertificate, {
    says: /"other\.invalid".* subjectAltName has mx\.ta-wrong-name\.lab/,
  }),
  ofServer("certificate-path", "ta-not-sent.lab", wholeChain, {
    says: /its own certificate only.* send the issuer's certificate behind the server's own/,
  }),
  ofServer("rollover-at-risk", "ee-expired.lab", sameKey, {
    severity: "warning",
    says: /has expired on 2020-01-01.* renew with the same key/,
  }),
  {
    class: "mx-unresolvable",
    domain: "no-address.lab",
    actor: "dns-operator",
    host: "mx.no-address.lab",
    says: /neither an A nor an AAAA record\. give mx\.no-address\.lab an address/,
    mend: { by: "records", records: (address) => [`mx.no-address.lab. A ${address}`], change: switchOn },
    afterwards: "no-tlsa",
  },
  {
    class: "null-mx",
    domain: "null-mx.lab",
    actor: "dns-operator",
    host: "null-mx.lab",
    says: /takes no mail\. .*replace the record by one that names its mail host/,
    mend: { by: "records", records: () => [`null-mx.lab. MX 10 mx.${STRIPPED}.`] },
    afterwards: "authenticated",
  },
  ofServer("host-unreachable", "closed.lab", switchOn, { says: /connection refused\. start the mail server/ }),
  {
    class: "sts-mismatch",
    domain: "sts-mx-mismatch.lab",
    actor: "mail-operator",
    host: "mx.sts-mx-mismatch.lab",
    says: /policy of sts-mx-mismatch\.lab does not list it\. add the first line to https:\/\/mta-sts\.sts-mx-mismatch\.lab\//,
    mend: { by: "policy" },
    afterwards: "insecure",
  },
];
