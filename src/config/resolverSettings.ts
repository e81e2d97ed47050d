import { upstream, upstreamText } from "./address.ts";
import { domainName, zoneName } from "./domain.ts";
import { derivedSetting, optionalSetting, setting } from "./setting.ts";
import { choice, integer, list, nonEmpty, object, path } from "./value.ts";

const upstreams = list("IP, IP:PORT or tls://IP#name", upstream, upstreamText);

const forwardZone = object(
  { zone: { type: zoneName, need: "required" }, upstreams: { type: nonEmpty(upstreams), need: "required" } },
  () => "ok",
);

/** `resolver.*`: where DNS answers come from and what they are validated against. */
export const RESOLVER_SETTINGS = {
  mode: setting(
    choice(["auto", "forward", "recursive"]),
    "auto",
    "Where answers come from; they are validated here in every mode. forward: an upstream is asked, with CD and DO set. recursive: iteration " +
      "from the root. auto: forward when an upstream passes the DNSSEC probe, else recursive.",
  ),
  upstreams: derivedSetting(
    upstreams,
    "those of /etc/resolv.conf",
    (surroundings) => surroundings.nameservers,
    "Recursive resolvers to ask: IP, IP:PORT, or tls://IP#name for DNS over TLS with the name that the certificate must have.",
    ["192.0.2.53", "tls://192.0.2.54#dns.example.net"],
  ),
  trustAnchorFile: optionalSetting(
    path,
    "the IANA root keys, built in",
    "Trust anchors as zone-file text: DS or DNSKEY records.",
    "/etc/dane-relay/trust-anchors",
  ),
  rootHintsFile: optionalSetting(
    path,
    "the IANA root servers, built in",
    "Root servers as zone-file text: NS, A and AAAA records. For recursive mode.",
    "/etc/dane-relay/root.hints",
  ),
  sha1: setting(
    choice(["insecure", "validate"]),
    "insecure",
    "What zones are that are signed only with RSASHA1 (algorithms 5 and 7) or linked only by a SHA-1 DS: insecure (RFC 9905), or validated " +
      "all the same.",
  ),
  forwardZones: setting(
    list("{zone, upstreams}", forwardZone, (entry) => entry.zone),
    [],
    "Private zones and who answers for them, such as the cluster's own names. A zone that is not signed belongs into insecureZones too.",
    [{ zone: "cluster.local", upstreams: ["10.96.0.10"] }],
  ),
  insecureZones: setting(
    list("domain names", domainName, (zone) => zone),
    [],
    "Negative trust anchors (RFC 7646): these zones are never validated, so DANE does not apply to anything in them.",
    ["corp.example"],
  ),
  nsec3Iterations: {
    insecureAbove: setting(
      integer(0, 2500),
      100,
      "Denials by NSEC3 with more extra iterations than this are insecure: too much work to check (RFC 9276).",
    ),
    bogusAbove: setting(
      integer(0, 2500),
      500,
      "Above this they are bogus. Not less than resolver.nsec3Iterations.insecureAbove.",
    ),
  },
  timeoutSeconds: setting(integer(1, 120, "seconds"), 10, "Time for one look-up with all its retries."),
  probe: {
    good: optionalSetting(
      domainName,
      "the SOA record of the root",
      "A name whose address records are signed well: the validation probe must find it secure.",
      "good.example",
    ),
    bad: optionalSetting(
      domainName,
      "the answer for the good name with a signature bit flipped",
      "A name whose address records are signed badly: the validation probe must find it bogus.",
      "bad.example",
    ),
  },
};
