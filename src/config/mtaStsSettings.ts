import { optionalSetting, setting } from "./setting.ts";
import { boolean, path } from "./value.ts";

/** `mtaSts.*`: policies of recipient domains that ask for TLS with PKIX (RFC 8461). */
export const MTA_STS_SETTINGS = {
  enabled: setting(
    boolean,
    true,
    "Whether MTA-STS policies of recipient domains are looked up, kept in the state directory, and enforced where DANE does not apply.",
  ),
  caFile: optionalSetting(
    path,
    "the CAs that come with Node.js",
    "CA certificates (PEM) by which policy hosts, hosts that TLS reports are posted to and, under a policy, MX hosts are authenticated.",
    "/etc/ssl/certs/ca-certificates.crt",
  ),
};
