import type { ServerView } from "../diagnosis/doubleTlsa.ts";
import { RR_TYPE } from "../dns/message.ts";
import { type DomainName, displayName, isName, parentOf, parseName } from "../dns/name.ts";
import { decodeLookup, decodeTarget } from "../dns/rdata.ts";
import { reasonText } from "../dnssec/securityStatus.ts";
import type { ValidatingResolver } from "../resolver/resolver.ts";
import { EDNS_UDP_PAYLOAD_SIZE, type ServerAddress, type Transport } from "../resolver/transport.ts";

/** The name servers of a zone, asked one by one: what each of them says counts for a rollover, since senders may ask any of them. */
export type AuthoritativeServer = ServerAddress & { label: string };

export type ZoneOfHost =
  | { kind: "zone"; zone: DomainName; servers: readonly AuthoritativeServer[]; primary: AuthoritativeServer | undefined }
  | { kind: "unknown"; reason: string };

const DNS_PORT = 53;
/** Zone cuts above a host that are looked for. */
const MAX_LABELS_UP = 20;
const EXCHANGE_MILLISECONDS = 5000;

/** The zone that `owner` is in, and every address of its name servers. */
export async function zoneOf(owner: DomainName, resolver: ValidatingResolver): Promise<ZoneOfHost> {
  let zone: DomainName | undefined = owner;
  for (let up = 0; zone !== undefined && up < MAX_LABELS_UP; up += 1) {
    const soa = await resolver.lookup(zone, RR_TYPE.SOA);
    if (soa.status === "bogus" || soa.status === "indeterminate")
      return { kind: "unknown", reason: `the zone of ${displayName(owner)} could not be found: ${reasonText(soa.reasons)}` };
    if (soa.answer === "records" && soa.name === zone) return serversOf(zone, soa.records[0].rdata, resolver);
    zone = parentOf(zone);
  }
  return { kind: "unknown", reason: `no zone was found for ${displayName(owner)}` };
}

async function serversOf(zone: DomainName, soa: Buffer, resolver: ValidatingResolver): Promise<ZoneOfHost> {
  const found = await resolver.lookup(zone, RR_TYPE.NS);
  if (found.status === "bogus" || found.status === "indeterminate" || found.answer !== "records")
    return { kind: "unknown", reason: `the name servers of ${displayName(zone)} could not be found` };
  const servers: AuthoritativeServer[] = [];
  for (const { rdata } of found.records) {
    const nameserver = decodeTarget(rdata);
    if (typeof nameserver !== "string") return { kind: "unknown", reason: `an NS record of ${displayName(zone)} is malformed` };
    const addresses = await addressesOf(nameserver, resolver);
    if (addresses.length === 0)
      return { kind: "unknown", reason: `the name server ${displayName(nameserver)} of ${displayName(zone)} has no address` };
    servers.push(...addresses.map((address) => ({ address, port: DNS_PORT, label: `${displayName(nameserver)} (${address})` })));
  }
  const master = decodeTarget(soa.subarray(0, nameOctets(soa)));
  const primaries = typeof master === "string" ? await addressesOf(master, resolver) : [];
  const [address] = primaries;
  const primary = address === undefined ? undefined : { address, port: DNS_PORT, label: address };
  return { kind: "zone", zone, servers, primary };
}

/** Octets of the uncompressed name that `rdata` begins with (RFC 1035 §3.3.13: MNAME). */
function nameOctets(rdata: Buffer): number {
  let at = 0;
  while (at < rdata.length && rdata.readUInt8(at) !== 0) at += 1 + rdata.readUInt8(at);
  return at + 1;
}

async function addressesOf(host: DomainName, resolver: ValidatingResolver): Promise<readonly string[]> {
  const found = await Promise.all([resolver.resolve(host, "A"), resolver.resolve(host, "AAAA")]);
  return found.flatMap((resolution) =>
    "answer" in resolution && resolution.answer === "records" ? [...resolution.records] : [],
  );
}

/** The TLSA records that each server has at `owner` now. Only an authoritative answer counts. */
export function askEach(
  servers: readonly AuthoritativeServer[],
  owner: DomainName,
  transport: Transport,
): Promise<readonly ServerView[]> {
  return Promise.all(servers.map((server) => ask(server, owner, transport)));
}

async function ask(server: AuthoritativeServer, owner: DomainName, transport: Transport): Promise<ServerView> {
  const query = {
    name: owner,
    type: RR_TYPE.TLSA,
    recursionDesired: false,
    checkingDisabled: false,
    edns: { udpPayloadSize: EDNS_UDP_PAYLOAD_SIZE, dnssecOk: false },
  };
  const failed = (reason: string): ServerView => ({ kind: "failed", server: server.label, reason });
  const result = await transport.exchange(server, query, EXCHANGE_MILLISECONDS);
  if (result.kind === "timeout") return failed("no answer in time");
  if (result.kind !== "response") return failed(result.reason);
  const { message } = result;
  if (message.rcode !== 0 && message.rcode !== 3) return failed(`RCODE ${message.rcode}`);
  if (!message.authoritative) return failed("it is not authoritative for that name");
  const mine = message.answer.filter((record) => record.name === owner && record.type === RR_TYPE.TLSA);
  const records = mine.map((record) => decodeLookup("TLSA", record.rdata));
  const sound = records.flatMap((record) => ("kind" in record ? [] : [record]));
  if (sound.length !== records.length) return failed("a TLSA record in its answer is malformed");
  const ttlSeconds = Math.max(0, ...mine.map(({ ttl }) => ttl));
  return { kind: "records", server: server.label, records: sound, ttlSeconds };
}

/** `IP` or `IP:PORT` or `[IP]:PORT`, as an operator names a server instead of the zone's. */
export function serverFrom(text: string): AuthoritativeServer | undefined {
  const found = /^\[([0-9a-fA-F:.]+)\]:(\d{1,5})$|^([0-9.]+)(?::(\d{1,5}))?$|^([0-9a-fA-F:.]+)$/.exec(text);
  const address = found?.[1] ?? found?.[3] ?? found?.[5];
  const port = Number(found?.[2] ?? found?.[4] ?? DNS_PORT);
  return address === undefined || port < 1 || port > 65_535 ? undefined : { address, port, label: text };
}

/** `_PORT._tcp.HOST`. */
export function tlsaOwner(host: string, port: number): DomainName {
  const owner = parseName(`_${port}._tcp.${host}`);
  if (isName(owner)) return owner;
  throw new Error(`${host}: ${owner.reason}`);
}
