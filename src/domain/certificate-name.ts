declare const brand: unique symbol;
/** A normalized subject alternative name of a client certificate that may identify a service. */
export type CertificateName = string & { readonly [brand]: "CertificateName" };

/** Most names of a service credential, and most names of a certificate that are read. */
export const maxCertificateNames = { ofCredential: 16, ofCertificate: 100 } as const;

/** Parses a name given by an operator: a SPIFFE ID with a path, or a DNS name. */
export function parseCertificateName(text: string): CertificateName | undefined {
  return text.startsWith(spiffeScheme) ? parseSpiffeId(text) : parseDnsName(text);
}

const spiffeScheme = "spiffe://";

/**
 * Parses the SPIFFE ID of a workload (SPIFFE-ID, section 2): a trust domain, and a path in which no segment is empty, `.` or
 * `..`. Without a path it would name the whole trust domain.
 */
export function parseSpiffeId(text: string): CertificateName | undefined {
  if (text.length > 2048 || !spiffeId.test(text)) return undefined;
  return text as CertificateName;
}

const spiffeId = /^spiffe:\/\/[a-z0-9._-]{1,255}(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+)+$/;

/** Parses a DNS name in lower case (RFC 1123); not an IP address, and not a wildcard, which names more than one service. */
export function parseDnsName(text: string): CertificateName | undefined {
  if (text.length > 253 || !dnsName.test(text)) return undefined;
  return text as CertificateName;
}

const label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
const dnsName = new RegExp(`^(?!(.*\\.)?\\d+$)${label}(\\.${label})*$`);
