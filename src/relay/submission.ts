import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Check } from "../admin/health.ts";
import { endpointText, networkText } from "../config/address.ts";
import type { Config } from "../config/schema.ts";
import type { WatchedFile } from "../metrics/labels.ts";
import type { Store } from "../spool/store.ts";
import { CertificateWatch } from "../submission/certificateWatch.ts";
import type { ClientCertificates } from "../submission/clientCertificate.ts";
import { createListener, type Listener, type SubmissionLimits } from "../submission/listener.ts";
import { type CertificateFiles, readCertificate, type ServerCertificate } from "../submission/serverCertificate.ts";
import type { SubmissionEvent } from "../submission/submissionEvent.ts";
import { type Parts, reportTrouble, textOf } from "./parts.ts";
import { openUsers } from "./submissionUsers.ts";
import { submissionWarnings } from "./submissionWarnings.ts";

/** Submission as the configuration wants it, its events as log lines and metrics, and what of it changes without a restart. */
export type Submission = {
  listener: Listener;
  /** Another configuration; what is wrong with its certificate, if anything, and then nothing changes. */
  reload(config: Config): Promise<{ kind: "reloaded" } | { kind: "refused"; key: string; reason: string }>;
  /** Files that can't be read now; what was read before is in use. */
  unreadableFiles(): readonly WatchedFile[];
  /** For /readyz: one for each of these files. */
  fileChecks(): readonly Check[];
  stop(deadlineMilliseconds: number): Promise<void>;
};

const CERTIFICATE_KEY = "submission.tls.certificateFile";

/** Not listening yet. Rejects when the certificate cannot be used. */
export async function openSubmission(parts: Parts, store: Store): Promise<Submission> {
  const { config, clock, random, log } = parts;
  const { listen, tls } = config.submission;
  const files = certificateFiles(config);
  const reading = files === undefined ? undefined : await readCertificate(files);
  if (reading?.kind === "unusable") throw new Error(`${CERTIFICATE_KEY}: ${reading.reason}`);
  const users = await openUsers(parts);
  const listener = createListener({
    ...limitsOf(config),
    ...(users === undefined ? {} : { authenticator: users.authenticator }),
    ...clientCertificates(config),
    authWithoutTls: config.submission.authWithoutTls,
    listen: listen.map(endpointText),
    implicitTlsListen: tls.listen.map(endpointText),
    ...(reading === undefined ? {} : { certificate: reading.certificate }),
    hostname: config.hostname,
    store,
    clock,
    random,
    onEvent: (event) => reportSubmission(event, parts),
  });
  const watch =
    files === undefined || reading === undefined ? undefined : watchCertificate(parts, files, reading.certificate, listener);
  const troubles = (): readonly FileTrouble[] => [
    ...(watch?.trouble === undefined ? [] : [{ file: "certificate" as const, reason: watch.trouble }]),
    ...(users?.directory.trouble === undefined ? [] : [{ file: "users" as const, reason: users.directory.trouble }]),
  ];
  for (const { key, reason } of submissionWarnings(config)) log.event({ event: "config", key, state: "notice", reason });
  return {
    listener,
    reload: async (changed) => {
      const named = certificateFiles(changed);
      if (named !== undefined && watch !== undefined) {
        const found = await readCertificate(named);
        if (found.kind === "unusable") {
          // What is wrong may be wrong with the files in use as well: told now, not in a minute.
          await watch.check();
          return { kind: "refused", key: CERTIFICATE_KEY, reason: found.reason };
        }
        await watch.check(named);
      }
      await users?.directory.check();
      listener.limit(limitsOf(changed));
      return { kind: "reloaded" };
    },
    unreadableFiles: () => troubles().map(({ file }) => file),
    fileChecks: () => troubles().map(fileCheck),
    stop: (deadlineMilliseconds) => {
      watch?.stop();
      users?.directory.stop();
      return listener.stop(deadlineMilliseconds);
    },
  };
}

function watchCertificate(
  { log }: Parts,
  files: CertificateFiles,
  current: ServerCertificate,
  listener: Listener,
): CertificateWatch {
  const key = CERTIFICATE_KEY;
  return new CertificateWatch({
    files,
    current,
    onRenewed: (certificate) => {
      listener.present(certificate);
      log.event({ event: "config", key, state: "reloaded", reason: "the certificate of submission is renewed" });
    },
    onTrouble: (reason) =>
      log.event({
        event: "config",
        key,
        reason: `the certificate in use stays, since the one in its files cannot be used: ${reason}`,
      }),
  });
}

/** Throws when the file cannot be read, or holds no certificate. */
function clientCertificates({ submission: { tls } }: Config): { clientCertificates?: ClientCertificates } {
  if (tls.clientCaFile === undefined) return {};
  const ca = readFileSync(tls.clientCaFile, "utf8");
  try {
    new X509Certificate(ca);
  } catch (error) {
    throw new Error(`submission.tls.clientCaFile: ${tls.clientCaFile}: ${textOf(error)}`, { cause: error });
  }
  return { clientCertificates: { ca, accepted: tls.clientNames } };
}

function certificateFiles({ submission: { tls } }: Config): CertificateFiles | undefined {
  const { certificateFile, keyFile } = tls;
  return certificateFile === undefined || keyFile === undefined ? undefined : { certificateFile, keyFile };
}

function limitsOf({ submission }: Config): SubmissionLimits {
  const { maxMessageBytes, maxRecipients, maxConnections, maxConnectionsPerClient, senderRewrites, rate } = submission;
  return {
    trustedNetworks: submission.trustedNetworks.map(networkText),
    proxyProtocolNetworks: submission.proxyProtocolNetworks.map(networkText),
    ...{ maxMessageBytes, maxRecipients, maxConnections, maxConnectionsPerClient, senderRewrites },
    ...rate,
  };
}

type FileTrouble = { file: WatchedFile; reason: string };

function fileCheck({ file, reason }: FileTrouble): Check {
  const text = `the file cannot be used now, and what was read before stays in use; mend it, it is read again by itself: ${reason}`;
  return { name: `file of ${file}`, status: "degraded", text };
}

function reportSubmission(event: SubmissionEvent, { log, instruments }: Parts): void {
  switch (event.kind) {
    case "accepted": {
      const { envelope, recipients, client, user } = event;
      instruments.messageAccepted();
      log.event({
        event: "accepted",
        id: envelope.id,
        client,
        ...(user === undefined ? {} : { user }),
        sender: envelope.sender,
        recipients: recipients.length,
        bytes: envelope.size,
        ...(envelope.requireTls ? { tlsRequired: "yes" } : envelope.tlsRequiredNo ? { tlsRequired: "no" } : {}),
      });
      return;
    }
    case "authentication-failed": {
      const { kind: _, ...failure } = event;
      log.event({ event: "authentication", result: "failed", ...failure });
      return;
    }
    case "rejected":
      instruments.messageRejected(event.rejection.reason);
      if (event.error !== undefined) reportTrouble({ log }, "submission", event.error);
      return;
    case "connection":
      return;
    case "trouble":
      reportTrouble({ log }, "submission", event.text);
      return;
    default:
      event satisfies never;
  }
}
