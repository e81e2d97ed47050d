import type { ChainLink } from "../diagnosis/chainLink.ts";
import { algorithm, day, signatureText } from "../diagnosis/chainText.ts";
import type { SignatureFact } from "../diagnosis/signatureFact.ts";
import { displayName } from "../dns/name.ts";
import { type Html, html, shortened } from "./html.ts";

/**
 * The chain of trust as a drawing, from the trust anchor down: a box for each zone with its keys and until when they are signed, an arrow for each DS
 * record with its dates. The form of a line says what its colour says: whole is secure, dashed insecure, thick or dotted broken.
 */
export type ChainBox = {
  zone: string;
  look: "secure" | "insecure" | "broken";
  y: number;
  height: number;
  lines: readonly string[];
};
export type ChainArrow = { look: ChainBox["look"]; y: number; lines: readonly string[] };
export type ChainDrawing = { width: number; height: number; boxes: readonly ChainBox[]; arrows: readonly ChainArrow[] };

const WIDTH = 400;
const MARGIN = 6;
const LINE = 18;
const HEAD = 26;
const PADDING = 10;
/** Of lines in a box, and beside an arrow. */
const MAX_LINES = 5;
const ARROW_MINIMUM = 30;
const TEXT_X = MARGIN + 14;
const SIDE_X = MARGIN + 34;
const ARROW_X = MARGIN + 20;
/** What fits into the box, and beside the arrow. */
const BOX_CHARACTERS = 48;
const SIDE_CHARACTERS = 45;
const ZONE_CHARACTERS = 30;

const WORDS = { secure: "secure", insecure: "insecure", bogus: "bogus", indeterminate: "not known" } as const;

/** `now`: milliseconds since the epoch. */
export function chainDrawing(chain: readonly ChainLink[], now: number): ChainDrawing {
  const boxes: ChainBox[] = [];
  const arrows: ChainArrow[] = [];
  let y = MARGIN;
  for (const [index, link] of chain.entries()) {
    const look = lookOf(link);
    if (index > 0) {
      const lines = bounded(delegationLines(link, now), SIDE_CHARACTERS);
      arrows.push({ look, y, lines });
      y += arrowHeight(lines.length);
    }
    const lines = bounded(keyLines(link, now), BOX_CHARACTERS);
    const height = HEAD + lines.length * LINE + PADDING;
    boxes.push({ zone: displayName(link.zone), look, y, height, lines });
    y += height;
  }
  return { width: WIDTH, height: y + MARGIN, boxes, arrows };
}

function arrowHeight(lines: number): number {
  return Math.max(ARROW_MINIMUM, lines * LINE + PADDING);
}

function bounded(lines: readonly string[], characters: number): readonly string[] {
  const broken = lines.flatMap((line) => brokenAt(line, characters));
  const more = broken.length - MAX_LINES;
  const shown = more > 0 ? [...broken.slice(0, MAX_LINES - 1), `and ${more + 1} more`] : broken;
  return shown.map((line) => shortened(line, characters));
}

/** In two lines, at a space, where one is not enough; what is still too long is cut. */
function brokenAt(line: string, characters: number): readonly string[] {
  if (line.length <= characters) return [line];
  const space = line.lastIndexOf(" ", characters);
  return space <= 0 ? [line] : [line.slice(0, space), line.slice(space + 1)];
}

function lookOf({ status }: ChainLink): ChainBox["look"] {
  return status === "secure" || status === "insecure" ? status : "broken";
}

/** What the parent says of the zone. */
function delegationLines({ ds, dsSignatures, denial, status }: ChainLink, now: number): readonly string[] {
  if (ds.length === 0) {
    const proof = denial[0];
    if (status === "insecure")
      return ["no DS record", proof === undefined ? "" : `${proof.record} ${displayName(proof.owner)} proves it`].filter(
        (line) => line !== "",
      );
    return status === "secure" ? ["a trust anchor of its own"] : ["no DS record was seen"];
  }
  const records = ds.map(
    ({ keyTag, algorithm: number, key }) => `DS ${keyTag} ${algorithm(number)}${key === "present" ? "" : ", no such key"}`,
  );
  return [...records, ...dsSignatures.slice(0, 1).map((signature) => `DS ${spanOf(signature, now)}`)];
}

function keyLines({ ds, keys, keySignatures, status, reasons }: ChainLink, now: number): readonly string[] {
  const why = reasons?.at(-1)?.text;
  const broken = status === "secure" || why === undefined ? [] : [why];
  const shown = keys.map(({ keyTag, algorithm: number, role }) => `DNSKEY ${keyTag} ${algorithm(number)}${ROLES[role]}`);
  const vouched = new Set(ds.map(({ keyTag }) => keyTag));
  const telling = keySignatures.find(({ keyTag }) => vouched.has(keyTag)) ?? keySignatures[0];
  return [...broken, ...(telling === undefined ? [] : [`DNSKEY ${spanOf(telling, now)}`]), ...shown];
}

const ROLES = { entry: ", entry (KSK)", zone: "", revoked: ", revoked" } as const;

function spanOf(signature: SignatureFact, now: number): string {
  const { inception, expiration, verdict } = signature;
  const [from, to] = [inception * 1000, expiration * 1000];
  if (verdict.kind === "fails" || now < from || now > to) return signatureText(signature, now);
  return `signed ${day(from)} to ${day(to)}`;
}

/** `of`: what the chain leads to. */
export function chainPicture(chain: readonly ChainLink[], of: string, now: number): Html {
  if (chain.length === 0) return html`<p class="quiet">No chain of trust was walked for it.</p>`;
  const { width, height, boxes, arrows } = chainDrawing(chain, now);
  const said = chain.map(({ zone, status }) => `${displayName(zone)} ${WORDS[status]}`).join(", then ");
  return html`<div class="chain"><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Chain of trust of ${shortened(of, 100)}: ${said}.">
${arrows.map(arrowMarkup)}
${boxes.map((box, index) => boxMarkup(box, WORDS[chain[index]?.status ?? "indeterminate"]))}
</svg></div>
<details><summary>The chain in words</summary><ol>${chain.map((link) => html`<li><strong>${displayName(link.zone)}</strong>: ${WORDS[link.status]}. ${sentence([...delegationLines(link, now), ...keyLines(link, now)])}</li>`)}</ol></details>`;
}

function sentence(lines: readonly string[]): string {
  return lines.length === 0 ? "" : `${lines.join("; ")}.`;
}

function arrowMarkup({ look, y, lines }: ChainArrow): Html {
  const bottom = y + arrowHeight(lines.length);
  return html`<path class="arrow ${look}" d="M${ARROW_X} ${y}V${bottom - 2}M${ARROW_X - 5} ${bottom - 9}L${ARROW_X} ${bottom - 2}L${ARROW_X + 5} ${bottom - 9}"/>
${lines.map((line, index) => html`<text class="side" x="${SIDE_X}" y="${y + LINE * (index + 1)}">${line}</text>`)}`;
}

function boxMarkup({ zone, look, y, height, lines }: ChainBox, word: string): Html {
  return html`<rect class="box ${look}" x="${MARGIN}" y="${y}" width="${WIDTH - 2 * MARGIN}" height="${height}" rx="4"/>
<text class="zone" x="${TEXT_X}" y="${y + 20}">${zone === "." ? ". (the root)" : shortened(zone, ZONE_CHARACTERS)}<title>${zone}</title></text>
<text class="${look}" x="${WIDTH - MARGIN - 12}" y="${y + 20}" text-anchor="end">${word}</text>
${lines.map((line, index) => html`<text x="${TEXT_X}" y="${y + HEAD + LINE * (index + 1) - 4}">${line}</text>`)}`;
}
