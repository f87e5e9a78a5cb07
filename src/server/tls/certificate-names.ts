import type { X509Certificate } from "node:crypto";
import {
  type CertificateName,
  maxCertificateNames,
  parseDnsName,
  parseSpiffeId,
} from "../../domain/certificate-name.ts";

/** `TYPE:value`, where Node writes a value that could be taken for more than one as a JSON string. */
const entry = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;

/**
 * The subject alternative names of a certificate that can be a service's: SPIFFE IDs and DNS names. The subject's common name
 * is none (RFC 9525). None at all where one cannot be read, and where there are too many to look up.
 */
export function namesOf({
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

/** A value in quotes has characters that no name here has. */
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
