import { day } from "../diagnosis/chainText.ts";
import type { Explanation } from "../diagnosis/explanation.ts";
import { HEADLINES, protectionText } from "../diagnosis/explanationText.ts";
import { ACTOR_WORDS, type Finding } from "../diagnosis/finding.ts";
import type { LookupObservation, Observation } from "../diagnosis/observation.ts";
import { dateText } from "../diagnosis/quantity.ts";
import { displayName } from "../dns/name.ts";
import { chainPicture } from "./chainPicture.ts";
import type { DeskAnswer } from "./explainDesk.ts";
import { explainedHosts, lookupText } from "./explainedHost.ts";
import { beginning, type Html, html, shortened } from "./html.ts";
import type { Visitor } from "./pageLayout.ts";

/** Explain a domain: what would become of mail for it, why, and who has to do what. */
export type ExplainView = { target: string; answer: DeskAnswer | undefined; visitor: Visitor };

const MAX_FINDINGS = 30;
const MAX_PASTED_LINES = 20;
const TEXT_CHARACTERS = 1500;
/** Of lists that the destination chose: its policy, where it wants reports, its hosts, its signatures. */
const LIST_CHARACTERS = 600;
const MAX_LISTED_HOSTS = 30;
const MAX_SIGNATURES = 8;
const LOOKS = { deliverable: "fine", "not-deliverable": "trouble", undecided: "degraded" } as const;
const MARKS = { deliverable: "✓", "not-deliverable": "✗", undecided: "?" } as const;

export function explainPage({ target, answer, visitor }: ExplainView): Html {
  return html`<h1>Explain a domain</h1>
${visitor.kind === "operator" ? form(target) : notAllowed(visitor)}
${answer === undefined ? undefined : answerText(answer, target)}`;
}

function form(target: string): Html {
  return html`<form method="get" action="/explain"><div class="fields">
<div><label for="domain">Domain, mail address or [address]</label><input id="domain" name="domain" value="${target}" size="36" autocomplete="off" autocapitalize="none" spellcheck="false" required></div>
<div><button class="primary">Explain</button></div></div></form>
<p class="quiet small">The relay looks everything up now and connects to the hosts as for a delivery, but sends no mail: whether they take it is not asked.</p>`;
}

function notAllowed(visitor: Visitor): Html {
  const because = visitor.kind === "reader" ? ` ${visitor.because}` : "";
  return html`<p>To explain a domain the relay connects outwards, so it needs the token.${because} On the relay's machine,
<code>dane-relay explain DOMAIN</code> says the same.</p>`;
}

function answerText(answer: DeskAnswer, target: string): Html {
  switch (answer.kind) {
    case "explained":
      return answer.content;
    case "error":
      return html`<p class="alarm" role="alert">${shortened(target, 80)}: ${answer.reason}</p>`;
    case "busy":
      return html`<p role="alert">Not now: ${answer.because}. Ask again in a moment.</p>`;
    case "slow":
      return html`<p role="alert">It takes long: some server does not answer. The explanation goes on;
<a href="/explain?domain=${encodeURIComponent(target)}">look again</a> in a moment.</p>`;
    case "failed":
      return html`<p class="alarm" role="alert">The explanation failed, which is an error of the relay: ${answer.reason}</p>`;
    default:
      return answer satisfies never;
  }
}

/** The verdict, what was found, and what it rests on. */
export function explanationContent({ target, seen, verdict, findings }: Explanation): Html {
  const told = verdict.reason === undefined || findings.some(({ severity }) => severity === "error");
  const more = findings.length - MAX_FINDINGS;
  return html`<section class="verdict ${LOOKS[verdict.kind]}" aria-label="Verdict"><h2><span class="mark" aria-hidden="true">${MARKS[verdict.kind]}</span> ${sentenceCase(HEADLINES[verdict.kind])}</h2>
<p>${shortened(target, 200)}: ${protectionText(verdict)}</p>
${told ? undefined : html`<p>${beginning(verdict.reason ?? "", TEXT_CHARACTERS)}</p>`}
<p class="quiet small">As of ${dateText(seen.at)}. In the log: <code>tls ${verdict.tls}</code>, <code>dane ${verdict.dane}</code>${verdict.status === undefined ? "" : `, status ${verdict.status}`}. DNS: ${seen.source}.</p></section>
${findings.length === 0 ? undefined : html`<h2>What was found, and who has to act</h2>`}
${findings.slice(0, MAX_FINDINGS).map(findingBox)}
${more > 0 ? html`<p>and ${more} more</p>` : undefined}
<h2>Where mail goes</h2>
${routeText(seen)}
${mxSection(seen)}
${explainedHosts(seen)}
<h2>MTA-STS and TLS reports</h2>
${policyText(seen)}`;
}

function sentenceCase(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1).toLowerCase()}`;
}

function findingBox({ class: name, severity, host, explanation, rfc, actor, remedy, paste = [] }: Finding): Html {
  const lines = paste.slice(0, MAX_PASTED_LINES);
  return html`<section class="finding ${severity}"><h3>${sentenceCase(severity)}: ${name}, ${host} <span class="quiet small">${rfc}</span></h3>
<p>${beginning(explanation, TEXT_CHARACTERS)}</p>
<p><strong>Who:</strong> ${ACTOR_WORDS[actor]}.<br><strong>What:</strong> ${beginning(remedy, TEXT_CHARACTERS)}${lines.length === 0 ? "." : ":"}</p>
${lines.length === 0 ? undefined : html`<pre tabindex="0" aria-label="to paste">${lines.map((line) => html`${line}\n`)}</pre>`}</section>`;
}

function routeText({ destination, route }: Observation): Html {
  switch (route.kind) {
    case "literal":
      return destination.startsWith("[")
        ? html`<p>${destination} is an address: DNS has no say in it, and so DANE neither.</p>`
        : html`<p>delivery.routes leads to an address: DNS has no say in it, and so DANE neither.</p>`;
    case "unroutable":
      return html`<p>It leads to no host; what was found says why.</p>`;
    case "hosts": {
      const hosts = route.hosts.slice(0, MAX_LISTED_HOSTS).map((host) => html`<li>${shortened(host, LIST_CHARACTERS)}</li>`);
      const more = route.hosts.length - hosts.length;
      const found = {
        mx: "Its MX records name, in order:",
        "no-mx": "It has no MX record and is its own mail host:",
        route: "delivery.routes, or the port given, names the host:",
      }[route.found];
      return html`<p>${found}</p><ol>${hosts}</ol>${more > 0 ? html`<p>and ${more} more</p>` : undefined}`;
    }
    default:
      return route satisfies never;
  }
}

function mxSection({ mx, at, nameServers }: Observation): Html | undefined {
  if (mx === undefined) return undefined;
  return html`<div class="pair"><div>${chainPicture(mx.chain, displayName(mx.name), at)}</div>
<div><h3>MX of ${displayName(mx.name)}</h3><p>${lookupText(mx)}</p>${signatureLines(mx)}
${nameServers.length === 0 ? undefined : html`<p class="quiet small">Name servers: ${nameServers.slice(0, 13).join(", ")}</p>`}</div></div>`;
}

function signatureLines({ signatures }: LookupObservation): Html | undefined {
  if (signatures.length === 0) return undefined;
  return html`<ul>${signatures
    .slice(0, MAX_SIGNATURES)
    .map(
      ({ keyTag, signer, inception, expiration, verdict }) =>
        html`<li>signed with key ${keyTag} of ${displayName(signer)}, ${day(inception * 1000)} to ${day(expiration * 1000)}${verdict.kind === "fails" ? `: does not hold, ${verdict.because}` : ""}</li>`,
    )}</ul>`;
}

function policyText({ sts, tlsrpt }: Observation): Html {
  const policy =
    sts === undefined
      ? "not asked for"
      : sts.inForce.kind === "policy"
        ? `${sts.inForce.policy.mode}, for ${shortened(sts.inForce.policy.mx.join(", "), LIST_CHARACTERS)}`
        : sts.record.kind === "absent"
          ? "none"
          : `published, but none in force (${beginning(sts.inForce.because, LIST_CHARACTERS)})`;
  const reports =
    tlsrpt === undefined
      ? "not asked for"
      : tlsrpt.kind === "absent"
        ? "none wanted"
        : tlsrpt.kind === "record"
          ? shortened(tlsrpt.uris.map(({ text }) => text).join(", "), LIST_CHARACTERS)
          : `unusable: ${beginning(tlsrpt.reason, LIST_CHARACTERS)}`;
  return html`<p>MTA-STS policy: ${policy}.<br>TLS reports: ${reports}.</p>`;
}
