import { createPublicKey, verify } from "node:crypto";
import { type AlgorithmTable, algorithmTable, rsa, type SignatureAlgorithm } from "../../src/dnssec/algorithm.ts";

/** Algorithms that old fixtures rely on and that the product does not offer: DSA (RFC 2536) and RSA keys of 512 bits. */

const TEST_RSA_BITS = 512;

/** The product's table with SHA-1 DS digests, plus what a fixture names in `testAlgorithms`. */
export function testAlgorithmTable(names: readonly string[]): AlgorithmTable {
  const { digests } = algorithmTable({ sha1: "validate" });
  const signatures = new Map(algorithmTable({ sha1: "insecure" }).signatures);
  const bits = names.includes("RSA-512") ? TEST_RSA_BITS : undefined;
  if (bits !== undefined) {
    signatures.set(8, rsa("RSASHA256", "sha256", bits));
    signatures.set(10, rsa("RSASHA512", "sha512", bits));
  }
  if (names.includes("RSASHA1")) signatures.set(5, rsa("RSASHA1", "sha1", bits));
  if (names.includes("RSASHA1-NSEC3-SHA1")) signatures.set(7, rsa("RSASHA1-NSEC3-SHA1", "sha1", bits));
  if (names.includes("DSA")) signatures.set(3, dsa("DSA"));
  if (names.includes("DSA-NSEC3-SHA1")) signatures.set(6, dsa("DSA-NSEC3-SHA1"));
  return { signatures, digests };
}

const Q_OCTETS = 20;

/** RFC 2536 §2: key T, Q, P, G, Y; §3: signature T, R, S. */
function dsa(mnemonic: string): SignatureAlgorithm {
  return {
    mnemonic,
    importKey: (publicKey) => {
      const octets = 64 + 8 * (publicKey[0] ?? 0);
      const p = 1 + Q_OCTETS;
      if (publicKey.length !== p + 3 * octets) return { kind: "unusable", reason: "DSA key of the wrong length" };
      const [q, prime, g, y] = [
        publicKey.subarray(1, p),
        ...[0, 1, 2].map((i) => publicKey.subarray(p + i * octets, p + (i + 1) * octets)),
      ].map(integer);
      const parameters = sequence(prime, q, g);
      const spki = sequence(
        sequence(Buffer.from("06072a8648ce380401", "hex"), parameters),
        tagged(0x03, Buffer.concat([Buffer.of(0), y ?? Buffer.alloc(0)])),
      );
      const key = createPublicKey({ key: spki, format: "der", type: "spki" });
      return {
        kind: "key",
        verifies: (data, signature) => verify("sha1", data, { key, dsaEncoding: "ieee-p1363" }, signature.subarray(1)),
      };
    },
  };
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content]);
  if (length < 0x100) return Buffer.concat([Buffer.of(tag, 0x81, length), content]);
  return Buffer.concat([Buffer.of(tag, 0x82, length >> 8, length & 0xff), content]);
}

function integer(octets: Buffer): Buffer {
  const first = octets.findIndex((octet) => octet !== 0);
  const value = octets.subarray(first);
  return tagged(0x02, (value[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), value]) : value);
}

function sequence(...parts: readonly (Buffer | undefined)[]): Buffer {
  return tagged(0x30, Buffer.concat(parts.filter((part) => part !== undefined)));
}
