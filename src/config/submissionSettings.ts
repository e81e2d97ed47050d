import { endpoint, endpointText, network, networkText } from "./address.ts";
import { optionalSetting, setting } from "./setting.ts";
import { integer, list, nonEmpty, path } from "./value.ts";

const listen = list("ADDRESS:PORT", endpoint, endpointText);

/** `submission.*`: how mail comes in. */
export const SUBMISSION_SETTINGS = {
  listen: setting(nonEmpty(listen), ["127.0.0.1:2525"], "Addresses that accept mail."),
  tls: {
    certificateFile: optionalSetting(
      path,
      "submission offers no TLS",
      "The certificate of submission with its chain, PEM. With it STARTTLS and REQUIRETLS (RFC 8689) are offered. It is read again when it changes.",
      "/etc/dane-relay/tls/tls.crt",
    ),
    keyFile: optionalSetting(path, "submission offers no TLS", "The certificate's key, PEM.", "/etc/dane-relay/tls/tls.key"),
    listen: setting(
      listen,
      [],
      "Addresses that accept mail in TLS from the first octet (implicit TLS, RFC 8314), beside those of submission.listen.",
      ["127.0.0.1:4465"],
    ),
  },
  trustedNetworks: setting(
    list("networks", network, networkText),
    ["127.0.0.0/8", "::1/128"],
    "Who may relay. Everybody else is refused with 550 5.7.1.",
  ),
  // RFC 5321 §4.5.3.1.7 and .8: at least 64 KiB and 100 recipients.
  maxMessageBytes: setting(integer(65_536, 1_073_741_824, "octets"), 26_214_400, "The largest message taken, announced as SIZE."),
  maxRecipients: setting(integer(100, 100_000), 1000, "Recipients of one message; more are refused with 452 4.5.3."),
  maxConnections: setting(integer(1, 60_000), 1000, "Connections at a time; more are refused with 421."),
};
