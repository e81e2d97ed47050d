import { createPublicKey } from "node:crypto";
import { type Certificate, parseCertificate, parsePublicKey } from "./certificate.ts";
import { context, DerSequence, derElement, INTEGER, orMalformed, SEQUENCE } from "./der.ts";

/**
 * What an operator has in a file and wants TLSA records for: certificates with their chain, a public or private key, or a certificate request. Only
 * the public half of a private key leaves this file.
 */
export type KeyMaterial =
  | { kind: "certificates"; certificates: readonly [Certificate, ...Certificate[]] }
  /** SubjectPublicKeyInfo in DER (RFC 5280 §4.1.2.7). */
  | { kind: "key"; publicKeyInfo: Buffer; from: "private key" | "public key" | "certificate request" };

export type UnreadableMaterial = { kind: "unreadable"; because: string };

/** Blocks of one PEM file; a chain has fewer than ten. */
const MAX_BLOCKS = 100;
const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \1-----/g;

type Block = { label: string; der: Buffer; pem: string };

/**
 * Reads PEM (RFC 7468), or DER of a certificate, key or request. Of a PEM file with several things in it certificates come first: the
 * key beside them is theirs.
 */
export function readKeyMaterial(file: Buffer): KeyMaterial | UnreadableMaterial {
  const text = file.toString("latin1");
  if (!text.includes("-----BEGIN ")) return readDer(file);
  const blocks = [...text.matchAll(PEM_BLOCK)].map(
    ([pem, label = "", body = ""]): Block => ({ label, der: Buffer.from(body, "base64"), pem }),
  );
  if (blocks.length === 0) return unreadable("it has the beginning of a PEM block and no end of it");
  if (blocks.length > MAX_BLOCKS) return unreadable(`it has ${blocks.length} PEM blocks (${MAX_BLOCKS} allowed)`);
  const certificates = blocks.filter(({ label }) => label === "CERTIFICATE");
  if (certificates.length > 0) return readCertificates(certificates.map(({ der }) => der));
  const [key, ...more] = blocks.filter(({ label }) => /(?:PUBLIC KEY|PRIVATE KEY|CERTIFICATE REQUEST)$/.test(label));
  if (key === undefined) return unreadable(`it has ${blocks[0]?.label ?? "nothing"}: no certificate, key or certificate request`);
  if (more.length > 0) return unreadable("it has several keys: which one is meant?");
  return readKey(key);
}

function readDer(file: Buffer): KeyMaterial | UnreadableMaterial {
  const certificate = parseCertificate(file);
  if (certificate.kind === "certificate") return { kind: "certificates", certificates: [certificate] };
  const request = readRequest(file);
  if (request.kind === "key") return request;
  if (parsePublicKey(file) !== undefined) return { kind: "key", publicKeyInfo: file, from: "public key" };
  return unreadable(`it is neither PEM nor a certificate, public key or certificate request in DER (${certificate.because})`);
}

function readCertificates(ders: readonly Buffer[]): KeyMaterial | UnreadableMaterial {
  const certificates: Certificate[] = [];
  for (const [index, der] of ders.entries()) {
    const certificate = parseCertificate(der);
    if (certificate.kind === "malformed") return unreadable(`certificate ${index + 1}: ${certificate.because}`);
    certificates.push(certificate);
  }
  const [first, ...rest] = certificates;
  return first === undefined ? unreadable("it has no certificate") : { kind: "certificates", certificates: [first, ...rest] };
}

function readKey({ label, der, pem }: Block): KeyMaterial | UnreadableMaterial {
  if (label.endsWith("CERTIFICATE REQUEST")) return readRequest(der);
  try {
    const publicKeyInfo = createPublicKey(pem).export({ format: "der", type: "spki" });
    return { kind: "key", publicKeyInfo, from: label.endsWith("PRIVATE KEY") ? "private key" : "public key" };
  } catch (error) {
    // Encrypted, broken, or of a kind that OpenSSL does not know; its words name no secret.
    return unreadable(`its ${label.toLowerCase()} can't be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The key of a CertificationRequest (RFC 2986 §4.1). */
function readRequest(der: Buffer): KeyMaterial | UnreadableMaterial {
  const publicKeyInfo = orMalformed(() => {
    const request = new DerSequence(derElement(der, SEQUENCE).value);
    const info = new DerSequence(request.required(SEQUENCE).value);
    info.required(INTEGER);
    info.required(SEQUENCE);
    const key = info.required(SEQUENCE).raw;
    info.optional(context(0, "constructed"));
    info.end();
    return key;
  });
  if ("kind" in publicKeyInfo) return unreadable(`it is no certificate request: ${publicKeyInfo.because}`);
  if (parsePublicKey(publicKeyInfo) === undefined) return unreadable("the key of the certificate request is of an unknown kind");
  return { kind: "key", publicKeyInfo, from: "certificate request" };
}

function unreadable(because: string): UnreadableMaterial {
  return { kind: "unreadable", because };
}
