import { certificateFact } from "../diagnosis/certificateFact.ts";
import { day } from "../diagnosis/chainText.ts";
import { tlsaLines } from "../diagnosis/explanation.ts";
import { demandText } from "../diagnosis/hostText.ts";
import type {
  HostObservation,
  LookupObservation,
  Observation,
  ReachableHost,
  SessionObservation,
} from "../diagnosis/observation.ts";
import { displayName } from "../dns/name.ts";
import { chainPicture } from "./chainPicture.ts";
import { beginning, type Html, html, shortened } from "./html.ts";
import { dataTable } from "./pageTable.ts";

/** The hosts of an explanation: addresses, TLSA records with what was found of each, certificates, and the chain to the records. */
const MAX_HOSTS = 10;
const OPEN_HOSTS = 3;
const MAX_RECORDS = 20;
const MAX_SESSIONS = 8;
const MAX_CERTIFICATES = 8;
const TEXT_CHARACTERS = 600;

export function explainedHosts({ hosts, at, mx }: Observation): Html {
  const shown = hosts.slice(0, MAX_HOSTS).map((host, index) => {
    const section = hostSection(host, at, chainKey(mx?.chain ?? []));
    return index < OPEN_HOSTS
      ? html`<h2>Host ${host.host}</h2>${section}`
      : html`<details><summary>Host ${host.host}</summary>${section}</details>`;
  });
  return html`${shown}${hosts.length > MAX_HOSTS ? html`<p>and ${hosts.length - MAX_HOSTS} more hosts</p>` : undefined}`;
}

function hostSection(host: HostObservation, at: number, known: string): Html {
  const leading =
    host.lookups.find(({ type, chain }) => type === "TLSA" && chain.length > 0) ??
    host.lookups.find(({ chain }) => chain.length > 0);
  const repeats = leading !== undefined && chainKey(leading.chain) === known;
  const drawn = leading === undefined || repeats ? undefined : chainPicture(leading.chain, displayName(leading.name), at);
  const lines = host.lookups.map((lookup) => html`<li>${lookup.type} of ${displayName(lookup.name)}: ${lookupText(lookup)}</li>`);
  const lookups = html`<div>${lines.length === 0 ? undefined : html`<h3>Look-ups</h3><ul>${lines}</ul>`}${repeats ? html`<p class="quiet small">The chain of trust is the one above.</p>` : undefined}
${host.kind === "reachable" ? html`<p><strong>Needs:</strong> ${demandText(host)}.</p>` : undefined}</div>`;
  return html`${drawn === undefined ? lookups : html`<div class="pair"><div>${drawn}</div>${lookups}</div>`}
${host.kind === "reachable" ? reachable(host, at) : html`<p>${host.kind === "absent" ? "It has no address to connect to." : "It is not used: its addresses cannot be known."}</p>`}`;
}

/** Two look-ups whose chains have the same zones with the same verdicts are drawn once. */
function chainKey(chain: LookupObservation["chain"]): string {
  return JSON.stringify(chain.map(({ zone, status }) => [zone, status]));
}

/** What a look-up came to, in words. */
export function lookupText({ resolution }: LookupObservation): Html {
  const absent = "answer" in resolution && resolution.answer !== "records" ? ", there is none" : "";
  const aliases =
    "aliases" in resolution
      ? resolution.aliases.map(({ target, status }) => `, alias of ${displayName(target)} (${status})`).join("")
      : "";
  const why = resolution.reasons === undefined ? "" : `: ${beginning(resolution.reasons.at(-1)?.text ?? "", TEXT_CHARACTERS)}`;
  const look = resolution.status === "secure" ? "fine" : resolution.status === "insecure" ? "degraded" : "trouble";
  return html`<span class="state ${look}">${resolution.status}</span>${absent}${aliases}${why}`;
}

function reachable(host: ReachableHost, at: number): Html {
  const records = tlsaLines(host);
  // The record that matches is always among those shown.
  const matching = [...records].sort(
    (one, other) => Number(other.use.startsWith("matches")) - Number(one.use.startsWith("matches")),
  );
  const more = host.sessions.length - MAX_SESSIONS;
  return html`${records.length === 0 ? undefined : html`<h3>TLSA records</h3>`}
${
  records.length === 0
    ? undefined
    : dataTable({
        caption: `TLSA records of ${host.host}`,
        columns: ["record", "what it came to"],
        rows: matching.slice(0, MAX_RECORDS).map(({ record, use }) => [html`<code>${shortened(record, 160)}</code>`, use]),
      })
}
${records.length > MAX_RECORDS ? html`<p>and ${records.length - MAX_RECORDS} more</p>` : undefined}
${host.sessions.length === 0 ? html`<p class="quiet">Addresses: ${shortened(host.addresses.join(", "), TEXT_CHARACTERS)}; none was connected to.</p>` : undefined}
${host.sessions.slice(0, MAX_SESSIONS).map((session) => sessionSection(session, at))}
${more > 0 ? html`<p>and ${more} more addresses</p>` : undefined}`;
}

function sessionSection({ address, port, tls, greeting, handshake, failure, match }: SessionObservation, at: number): Html {
  const where = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  const channel =
    handshake === undefined
      ? undefined
      : [handshake.protocol, handshake.cipher, handshake.group].filter((part) => part !== undefined).join(", ");
  return html`<h3>${where} <code>${tls}</code></h3>
${greeting === undefined ? undefined : html`<p class="small">It greets with: <code>${beginning(greeting, 200)}</code></p>`}
${channel === undefined ? undefined : html`<p>${channel}</p>`}
${failure === undefined ? undefined : html`<p class="alarm"><strong>Ended here:</strong> ${failure.stage === "verify" ? "its certificate is not accepted" : beginning(failure.text, TEXT_CHARACTERS)}</p>`}
${handshake === undefined ? undefined : certificateTable(handshake.chain, match?.kind === "match" ? match.depth : undefined, where, at)}`;
}

function certificateTable(chain: readonly Buffer[], matched: number | undefined, where: string, at: number): Html {
  return html`${dataTable({
    caption: `The certificates that ${where} presents`,
    columns: ["depth", "for", "issued by", "valid", "SHA-256 of its key", "DANE"],
    kinds: ["short", "name", "name", "words", "short", "short"],
    rows: chain.slice(0, MAX_CERTIFICATES).map((der, depth) => {
      const fact = certificateFact(der);
      if ("kind" in fact) return [depth, `malformed: ${fact.because}`, "", "", "", ""];
      const { subject, issuer, names, notBefore, notAfter, keyDigest } = fact;
      const dates = `${day(notBefore)} to ${day(notAfter)}`;
      const outside =
        at > notAfter
          ? html` <span class="state degraded">expired</span>`
          : at < notBefore
            ? html` <span class="state degraded">not valid yet</span>`
            : undefined;
      return [
        depth,
        names.length === 0 ? subject : shortened(names.join(", "), 200),
        subject === issuer ? "itself" : issuer,
        html`${dates}${outside}`,
        html`<code>${shortened(keyDigest, 24)}</code>`,
        depth === matched ? html`<span class="state fine">matches</span>` : "",
      ];
    }),
  })}${chain.length > MAX_CERTIFICATES ? html`<p>and ${chain.length - MAX_CERTIFICATES} more certificates</p>` : undefined}`;
}
