import { readFile } from "node:fs/promises";
import { DNSKEY_FLAG, type Ds, decodeDnskey, decodeDs } from "../dns/dnssecRdata.ts";
import { isMalformed, RR_TYPE } from "../dns/message.ts";
import { type DomainName, displayName } from "../dns/name.ts";
import { parseZoneText } from "../dns/zoneText.ts";
import type { TrustAnchor, TrustAnchors } from "../dnssec/evidence.ts";

/** The root's key-signing keys that IANA publishes (https://data.iana.org/root-anchors/root-anchors.xml): KSK-2017 and KSK-2024. */
const IANA_ROOT_ANCHORS = `
. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
. IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16
`;

export type AnchorsRead = { kind: "anchors"; anchors: TrustAnchors } | { kind: "error"; reason: string };

/** The trust anchors in `file` (zone-file text), or those of the IANA root. Only what the file says is trusted, nothing beside it. */
export async function loadTrustAnchors(file?: string): Promise<AnchorsRead> {
  if (file === undefined) return parseTrustAnchors(IANA_ROOT_ANCHORS);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    return { kind: "error", reason: `${file} cannot be read: ${error instanceof Error ? error.message : String(error)}` };
  }
  const read = parseTrustAnchors(text);
  return read.kind === "error" ? { kind: "error", reason: `${file}: ${read.reason}` } : read;
}

/** DS and DNSKEY records of any names. An empty text is an error: without an anchor every answer would be insecure. */
export function parseTrustAnchors(text: string): AnchorsRead {
  const parsed = parseZoneText(text);
  if (parsed.kind === "error") return parsed;
  const anchors = new Map<DomainName, { ds: Ds[]; keys: Buffer[] } & TrustAnchor>();
  for (const { name, type, rdata } of parsed.records) {
    const anchor = anchors.get(name) ?? { ds: [], keys: [] };
    anchors.set(name, anchor);
    const ds = type === RR_TYPE.DS ? decodeDs(rdata) : undefined;
    const key = type === RR_TYPE.DNSKEY ? decodeDnskey(rdata) : undefined;
    if (ds !== undefined && !isMalformed(ds)) anchor.ds.push(ds);
    else if (key !== undefined && !isMalformed(key)) {
      // RFC 4034 §2.1.1, RFC 5011 §2.1: neither of these can ever verify anything.
      if ((key.flags & DNSKEY_FLAG.zone) === 0)
        return { kind: "error", reason: `DNSKEY of ${displayName(name)} is not a zone key` };
      if ((key.flags & DNSKEY_FLAG.revoke) !== 0) return { kind: "error", reason: `DNSKEY of ${displayName(name)} is revoked` };
      anchor.keys.push(rdata);
    } else return { kind: "error", reason: `${displayName(name)} has a record that is neither DS nor DNSKEY` };
  }
  return anchors.size === 0 ? { kind: "error", reason: "there is no trust anchor in it" } : { kind: "anchors", anchors };
}
