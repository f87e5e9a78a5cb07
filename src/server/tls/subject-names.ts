import type { X509Certificate } from "node:crypto";
import {
  type CertificateName,
  maxCertificateNames,
  parseDnsName,
  parseSpiffeId,
} from "../../domain/certificate-name.ts";

/** `TYPE:value`. Node writes a value that contains separators as a JSON string. */
const entry = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;

/**
 * The subject alternative names of a certificate that can identify a service: SPIFFE IDs and DNS names. The common name does
 * not count (RFC 9525). Empty if any name cannot be parsed, or if there are too many to look up.
 */
export function subjectNames({
  subjectAltName = "",
}: Pick<X509Certificate, "subjectAltName">): readonly CertificateName[] {
  const names = new Set<CertificateName>();
  entry.lastIndex = 0;
  for (let at = 0, count = 0; at < subjectAltName.length; at = entry.lastIndex) {
    const [, type = "", value = ""] = entry.exec(subjectAltName) ?? [];
    if (type === "" || ++count > maxCertificateNames.ofCertificate) return [];
    const name = nameOf(type, value);
    if (name !== undefined) names.add(name);
  }
  return [...names];
}

/** A quoted value is never valid: it contains characters that these names do not allow. */
function nameOf(type: string, value: string): CertificateName | undefined {
  switch (type) {
    case "URI":
      return parseSpiffeId(value);
    case "DNS":
      return parseDnsName(value.toLowerCase());
    default:
      return undefined;
  }
}
