import { cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * Bugs that would let an attacker through, as changes to the text of src/. Some need two places, because the relay looks twice: a bug in
 * one of them alone does no harm.
 */
export type PlantedBug = { name: string; edits: readonly Edit[] };
type Edit = { file: string; from: string; to: string };

const SOURCE = join(import.meta.dirname, "..", "..", "src");
const PACKAGES = join(import.meta.dirname, "..", "..", "node_modules");

/** The last look before MAIL. */
const LAST_LOOK: Edit = {
  file: "delivery/hostSession.ts",
  from: "if (meetsPolicy(tls, session.security, matched))",
  to: "if (meetsPolicy(tls, session.security, matched) || !Number.isNaN(0))",
};

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: "every certificate matches",
    edits: [
      {
        file: "dane/certificateMatch.ts",
        from: '  return { kind: "mismatch", tried: input.records.map((record) => attempt.failureOf(record)',
        to: '  if (considered[0] !== undefined) return { kind: "match", record: considered[0], depth: 0 };\n  return { kind: "mismatch", tried: input.records.map((record) => attempt.failureOf(record)',
      },
    ],
  },
  {
    name: "the certificate is matched, and the verdict is not looked at",
    edits: [
      { file: "delivery/connection.ts", from: 'if (verdict.kind === "accepted") return handshake;', to: "return handshake;" },
      LAST_LOOK,
    ],
  },
  {
    name: "encrypt goes on in clear text where STARTTLS is missing",
    edits: [
      {
        file: "delivery/connection.ts",
        from: 'need === "opportunistic" ? "opportunistic" : "required"',
        to: 'need === "opportunistic" || need === "encrypt" ? "opportunistic" : "required"',
      },
      LAST_LOOK,
    ],
  },
  {
    name: "clear text after a failed handshake, whatever was demanded",
    edits: [
      {
        file: "delivery/hostSession.ts",
        from: 'if (need !== "opportunistic" || first.kind === "open") return first;',
        to: 'if (first.kind === "open") return first;',
      },
      LAST_LOOK,
    ],
  },
  {
    name: "a failed TLSA look-up counts as none",
    edits: [
      {
        file: "dane/tlsDiscovery.ts",
        from: 'if (!isDefinite(answer)) return { kind: "decided", policy: { kind: "unreachable", reasons: answer.reasons } };',
        to: "if (!isDefinite(answer)) continue;",
      },
    ],
  },
  {
    name: "TLSA records that cannot be used count as none",
    edits: [
      {
        file: "dane/tlsDiscovery.ts",
        from: 'if (first === undefined) return { kind: "encryptWithoutAuthentication", base, because: "no-usable-record", unusable };',
        to: 'if (first === undefined) return { kind: "notApplicable", because: "tlsa-absent" };',
      },
    ],
  },
  {
    name: "sessions are shared whatever TLSA set and names they were verified under",
    edits: [{ file: "delivery/poolKey.ts", from: "need, ...demand].join", to: "need].join" }],
  },
  {
    name: "names are not checked under DANE-TA",
    edits: [
      {
        file: "dane/matchAttempt.ts",
        from: "if (matchedIdentifier(this.server, this.#identifiers) !== undefined) return",
        to: "return",
      },
    ],
  },
  {
    name: "the path to a trust anchor is not validated",
    edits: [
      { file: "dane/matchAttempt.ts", from: 'if (verdict.kind === "valid") return', to: 'if (verdict.kind !== "never") return' },
    ],
  },
  {
    name: "an insecure MX counts as secure",
    edits: [{ file: "dane/tlsDiscovery.ts", from: 'mx: origin.kind === "mx" ? origin.mx : "secure"', to: 'mx: "secure"' }],
  },
  {
    name: "dane-only is content with opportunistic TLS where there is no TLSA",
    edits: [
      {
        file: "policy/tlsPolicy.ts",
        from: 'if (mandatory) return refused(input, "notlsa"',
        to: 'if (mandatory && input.messageTls === "required") return refused(input, "notlsa"',
      },
    ],
  },
  {
    name: "REQUIRETLS is not mandatory",
    edits: [
      { file: "policy/tlsPolicy.ts", from: ' || demand.messageTls === "required"', to: "" },
      {
        file: "smtp/transactionCommands.ts",
        from: 'if (envelope.requireTls && envelope.sender !== "" &&',
        to: 'if (Number.isNaN(0) && envelope.sender !== "" &&',
      },
    ],
  },
  {
    name: "any certificate satisfies MTA-STS",
    edits: [{ file: "delivery/serverVerification.ts", from: 'if (this.identity.kind === "valid") return', to: "return" }],
  },
  {
    name: "any MX host satisfies MTA-STS",
    edits: [
      {
        file: "policy/stsPolicy.ts",
        from: 'allowsHost(policy, host) ? "yes" : "no"',
        to: 'allowsHost(policy, host) ? "yes" : "yes"',
      },
    ],
  },
  {
    name: "what was injected behind the 220 to STARTTLS is kept",
    edits: [
      {
        file: "delivery/connection.ts",
        from: "if (channel.hasUntaken || socket.readableLength > 0) {",
        to: "if (Number.isNaN(0)) {",
      },
      {
        file: "delivery/session.ts",
        from: "if (channel.isLost || channel.hasUntaken) this.destroy();",
        to: "if (channel.isLost) this.destroy();",
      },
      { file: "delivery/channel.ts", from: "    this.#parser = new ReplyParser();\n", to: "" },
    ],
  },
];

function occurrences(text: string, part: string): number {
  return text.split(part).length - 1;
}

/** A copy of src/ below `directory` with the bug in it; rejects when src/ has changed so that the bug no longer fits. */
export async function plant(bug: PlantedBug, directory: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  const source = join(directory, "src");
  await cp(SOURCE, source, { recursive: true });
  await symlink(PACKAGES, join(directory, "node_modules"));
  await writeFile(join(directory, "package.json"), '{"type":"module"}\n');
  for (const { file, from, to } of bug.edits) {
    const text = await readFile(join(source, file), "utf8");
    const found = occurrences(text, from);
    if (found !== 1)
      throw new Error(`"${bug.name}" fits ${found} places of src/${file}, not one: it has to be planted anew\n${from}`);
    await writeFile(
      join(source, file),
      text.replace(from, () => to),
    );
  }
  return source;
}
