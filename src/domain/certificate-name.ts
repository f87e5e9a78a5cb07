declare const brand: unique symbol;
/** A subject alternative name of a client certificate by which a service may be known, in its one form. */
export type CertificateName = string & { readonly [brand]: "CertificateName" };

/** How many names a service credential may have, and how many of a certificate's are looked at. */
export const maxCertificateNames = { ofCredential: 16, ofCertificate: 100 } as const;

/** A name that an operator gives: a SPIFFE ID with a path, or a DNS name; undefined where it is neither. */
export function parseCertificateName(text: string): CertificateName | undefined {
  return text.startsWith(spiffeScheme) ? parseSpiffeId(text) : parseDnsName(text);
}

const spiffeScheme = "spiffe://";

/**
 * A SPIFFE ID of a workload (SPIFFE-ID, section 2): a trust domain, and a path of which no segment is empty, `.` or `..`. One
 * without a path names the trust domain itself and everybody in it, so it is nobody's name here.
 */
export function parseSpiffeId(text: string): CertificateName | undefined {
  if (text.length > 2048 || !spiffeId.test(text)) return undefined;
  return text as CertificateName;
}

const spiffeId = /^spiffe:\/\/[a-z0-9._-]{1,255}(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+)+$/;

/** A DNS name in lower case (RFC 1123), no IP address. A certificate's wildcard is no name of one service. */
export function parseDnsName(text: string): CertificateName | undefined {
  if (text.length > 253 || !dnsName.test(text)) return undefined;
  return text as CertificateName;
}

const label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
const dnsName = new RegExp(`^(?!(.*\\.)?\\d+$)${label}(\\.${label})*$`);
