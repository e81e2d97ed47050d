import { domainName, domainPattern } from "./domain.ts";
import { optionalSetting, setting } from "./setting.ts";
import { list, object, path, problem, textual, value } from "./value.ts";

/** RFC 5321 §4.1.2, Dot-string: what goes into a header field as it is. */
const LOCAL_PART = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
const MAX_LOCAL_PART_CHARACTERS = 64;
const MAX_TEXT_CHARACTERS = 200;

/** The domain as A-labels, in lower case. */
const mailAddress = textual<string>("a mail address", (text) => {
  const at = text.lastIndexOf("@");
  const local = text.slice(0, Math.max(0, at));
  if (!LOCAL_PART.test(local) || local.length > MAX_LOCAL_PART_CHARACTERS) return "no";
  const domain = domainName.parse(text.slice(at + 1));
  return domain.kind === "value" ? value(`${local}@${domain.value}`) : "no";
});

const shortText = textual<string>("text", (text) =>
  text === "" || text.length > MAX_TEXT_CHARACTERS || /\p{Cc}/u.test(text) ? "no" : value(text),
);

/** RFC 6376 §3.1: labels. */
const selector = textual<string>("a DKIM selector", (text) => {
  const name = domainName.parse(text);
  return name.kind === "value" ? name : problem("must be what stands before ._domainkey in the name of the DKIM record");
});

/** `tlsrpt.*`: reports to the operators of destinations (RFC 8460). */
export const TLSRPT_SETTINGS = {
  contact: optionalSetting(
    mailAddress,
    "off: nothing is counted or sent",
    "Whom a destination's operator may write to about a report; also its sender. Setting it switches TLS reports on (RFC 8460): each " +
      "domain that asks for one (_smtp._tls) gets one a day.",
    "tls-reports@example.org",
  ),
  organization: optionalSetting(shortText, "the hostname", "Who reports, in words.", "Example Org"),
};

const signing = object(
  {
    domain: { type: domainPattern, need: "required" },
    selector: { type: selector, need: "required" },
    keyFile: { type: path, need: "required" },
  },
  () => "ok",
);

/** `dkim.*`: signatures of mail that is sent, and of our own TLS reports. */
export const DKIM_SETTINGS = {
  sign: setting(
    list("{domain, selector, keyFile}", signing, ({ domain, selector }) => `${domain} with ${selector}`),
    [],
    "Keys that sign mail (RFC 6376), by the domain of its From field (.example.org: its subdomains, signed by example.org). Each entry of a domain " +
      "makes a signature: RSA for all receivers, Ed25519 beside it. `config check` shows the records to publish. The files are read again when they change.",
    [{ domain: "example.org", selector: "relay2026", keyFile: "/etc/dane-relay/dkim/relay2026.pem" }],
  ),
  domain: optionalSetting(
    domainName,
    "reports go out by HTTPS only",
    "The domain that signs TLS reports sent by mail (RFC 6376); that of tlsrpt.contact, or one above it.",
    "example.org",
  ),
  selector: optionalSetting(
    selector,
    "none",
    "The key's record is SELECTOR._domainkey.DOMAIN; for TLS reports it should say s=tlsrpt, or have no s= (RFC 8460 §3).",
    "tlsrpt2026",
  ),
  keyFile: optionalSetting(path, "none", "The private key as PEM: RSA (2048 bits) or Ed25519.", "/etc/dane-relay/dkim.pem"),
};
