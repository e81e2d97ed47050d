import { endpoint } from "./address.ts";
import { DELIVERY_SETTINGS } from "./deliverySettings.ts";
import { domainName } from "./domain.ts";
import { MTA_STS_SETTINGS } from "./mtaStsSettings.ts";
import { RESOLVER_SETTINGS } from "./resolverSettings.ts";
import { derivedSetting, optionalSetting, setting, settingsBelow, type ValuesOf } from "./setting.ts";
import { POSTGRES_SETTINGS, SPOOL_SETTING, STATE_DIRECTORY_SETTING } from "./spoolSettings.ts";
import { SUBMISSION_SETTINGS } from "./submissionSettings.ts";
import { DKIM_SETTINGS, TLSRPT_SETTINGS } from "./tlsReportSettings.ts";
import { choice, integer, path } from "./value.ts";

/**
 * The table of settings: the parser, `config/relay.yaml`, the reference and the names of environment variables all come from it.
 * A setting is here if and only if the relay does what it says; every other key is an error.
 */

export const SETTINGS = {
  hostname: derivedSetting(
    domainName,
    "the machine's name",
    (surroundings) => surroundings.hostname,
    "The name in EHLO, in Received headers and in delivery status notifications. Other mail servers expect a public name that resolves to this machine.",
    "relay.example.org",
  ),
  submission: SUBMISSION_SETTINGS,
  spool: SPOOL_SETTING,
  stateDirectory: STATE_DIRECTORY_SETTING,
  postgres: POSTGRES_SETTINGS,
  resolver: RESOLVER_SETTINGS,
  delivery: DELIVERY_SETTINGS,
  workers: setting(
    integer(1, 64),
    1,
    "Processes that take and deliver mail, each with a part of the spool and of every limit. More than 1 uses more processors.",
  ),
  tlsrpt: TLSRPT_SETTINGS,
  dkim: DKIM_SETTINGS,
  mtaSts: MTA_STS_SETTINGS,
  history: {
    days: setting(
      integer(0, 3650),
      400,
      "How many days it is kept in the state directory which certificates and TLSA records mail hosts had, for explain and for the rollovers in the metrics. 0: not at all.",
    ),
  },
  admin: {
    listen: setting(endpoint, "127.0.0.1:9025", "The address of /metrics, /livez, /readyz, the API and the operator's page."),
    tokenFile: optionalSetting(
      path,
      "API and page are read from this machine only, and change nothing",
      "A file with the token of the API and the page, at least 20 characters in one line (openssl rand -base64 32). With it reading needs it too. It is read again when it changes.",
      "/etc/dane-relay/admin-token",
    ),
  },
  log: {
    level: setting(choice(["debug", "info", "warn", "error"]), "info", "The least level that is logged."),
    format: setting(
      choice(["json", "text"]),
      "json",
      "One line an event on standard output, as a JSON object or as text for people.",
    ),
    recipients: setting(
      choice(["full", "domain", "hash"]),
      "full",
      "How mail addresses stand in the log: in full, as *@domain, or as a hash of the address with its domain.",
    ),
  },
};

/** The configuration in force: what each setting's parser made of it, in the shape of the table. */
export type Config = ValuesOf<typeof SETTINGS>;

/** Every setting with its key path, in the order of the table. */
export const KEYED_SETTINGS = settingsBelow(SETTINGS);
