import { endpoint, endpointText, network, networkText } from "./address.ts";
import { domainName } from "./domain.ts";
import { optionalSetting, setting } from "./setting.ts";
import { choice, integer, list, nonEmpty, object, type Problem, path, textual, value } from "./value.ts";

const listen = list("ADDRESS:PORT", endpoint, endpointText);

/** As it stands in a client's certificate, or the certificate's fingerprint in lower case without colons. */
const clientName = textual<string>("a DNS name, a mail address or sha256:FINGERPRINT", (text) => {
  const fingerprint = /^sha256:([0-9A-Fa-f:]+)$/i.exec(text)?.[1]?.replaceAll(":", "").toLowerCase();
  if (fingerprint !== undefined) return fingerprint.length === SHA256_DIGITS ? value(`sha256:${fingerprint}`) : "no";
  const at = text.lastIndexOf("@");
  const domain = domainName.parse(text.slice(at + 1));
  if (domain.kind !== "value") return "no";
  if (at === -1) return domain;
  return LOCAL_PART.test(text.slice(0, at)) ? value(`${text.slice(0, at)}@${domain.value}`) : "no";
});

const SHA256_DIGITS = 64;
const MAX_PER_MINUTE = 1_000_000;
/** RFC 5321 §4.1.2, Dot-string. */
const LOCAL_PART = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;

/** The domain as A-labels, in lower case. */
const senderPattern = textual<string>("a mail address or @domain", (text) => {
  const at = text.lastIndexOf("@");
  const local = text.slice(0, Math.max(at, 0));
  const domain = domainName.parse(text.slice(at + 1));
  if (at === -1 || domain.kind !== "value" || !(local === "" || LOCAL_PART.test(local))) return "no";
  return value(`${local}@${domain.value}`);
});

const senderRewrite = object(
  { from: { type: senderPattern, need: "required" }, to: { type: senderPattern, need: "required" } },
  ({ from, to }): Problem | "ok" =>
    to.startsWith("@") && !from.startsWith("@")
      ? { path: ["to"], message: "is a domain, and from is an address: write the whole address" }
      : "ok",
);

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
    clientCaFile: optionalSetting(
      path,
      "certificates of clients are not asked for",
      "CA certificates, PEM. A client that shows a certificate of theirs may relay without AUTH: use a CA of your own.",
      "/etc/dane-relay/tls/clients.crt",
    ),
    clientNames: setting(
      list("certificate names", clientName, (name) => name),
      [],
      "Which certificates of submission.tls.clientCaFile may relay: DNS names, mail addresses, or sha256:FINGERPRINT. When empty, all of them.",
      ["shop.example.org"],
    ),
  },
  trustedNetworks: setting(
    list("networks", network, networkText),
    ["127.0.0.0/8", "::1/128"],
    "Who may relay without AUTH. Everybody else is refused, with 550 5.7.1, or with 530 5.7.0 where there are users.",
  ),
  usersFile: optionalSetting(
    path,
    "there is no AUTH",
    "Who may log in (AUTH PLAIN and LOGIN), made by `dane-relay users add`: scrypt hashes, one user a line. Others must not be able to read it. " +
      "It is read again when it changes.",
    "/etc/dane-relay/users",
  ),
  authWithoutTls: setting(
    choice(["never", "loopback"]),
    "never",
    "Whether AUTH is taken outside TLS: never, or from clients on the same machine.",
  ),
  proxyProtocolNetworks: setting(
    list("networks", network, networkText),
    [],
    "Load balancers that begin each connection with a PROXY protocol header (version 1 or 2), which then is required of them, and refused from " +
      "everybody else. trustedNetworks and limits go by the address in it.",
    ["10.0.0.10"],
  ),
  senderRewrites: setting(
    list("{from, to}", senderRewrite, ({ from }) => from),
    [],
    "Another envelope sender for mail that comes with one of these. Both are an address, or @domain for all its addresses.",
    [{ from: "@internal.example", to: "@example.org" }],
  ),
  // RFC 5321 §4.5.3.1.7 and .8: at least 64 KiB and 100 recipients.
  maxMessageBytes: setting(integer(65_536, 1_073_741_824, "octets"), 26_214_400, "The largest message taken, announced as SIZE."),
  maxRecipients: setting(integer(100, 100_000), 1000, "Recipients of one message; more are refused with 452 4.5.3."),
  maxConnections: setting(integer(1, 60_000), 1000, "Connections at a time; more are refused with 421."),
  maxConnectionsPerClient: optionalSetting(
    integer(1, 60_000),
    "no limit but maxConnections",
    "Connections at a time of one IPv4 address or IPv6 /64; more are refused with 421.",
    50,
  ),
  rate: {
    messagesPerMinute: optionalSetting(
      integer(1, MAX_PER_MINUTE),
      "no limit",
      "Messages that one client, the user or else the address, may bring in a minute; more are refused with 451 4.7.1.",
      600,
    ),
    recipientsPerMinute: optionalSetting(
      integer(1, MAX_PER_MINUTE),
      "no limit",
      "Recipients that one client may name in a minute; more are refused with 451 4.7.1.",
      6000,
    ),
  },
};
