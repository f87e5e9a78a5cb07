import { availableParallelism } from "node:os";
import { BlockList, isIP } from "node:net";
import { z } from "zod";
import { parseProjectId } from "../../domain/ids.ts";
import { urlsOf } from "../../storage/connection/hosts.ts";
import { hasControlCharacter } from "./environment.ts";

// Parsers of single variables. No problem repeats a value, because it may be a secret.

const oneLine = z.string().refine((text) => !hasControlCharacter(text), {
  error: "must not contain a line break or another control character",
  abort: true,
});

/** A variable parsed by `parse`, which returns undefined for a wrong value. `accepts` goes into the problem and the table. */
function parsed<T>(accepts: string, parse: (text: string) => T | undefined, form: z.ZodString = oneLine) {
  return form
    .transform((text, context) => {
      const value = parse(text);
      if (value !== undefined) return value;
      context.addIssue(`must be ${accepts}`);
      return z.NEVER;
    })
    .meta({ accepts });
}

/** A list separated by commas. White space around its items may include line breaks. */
function list<T>(accepts: string, parseItem: (item: string) => T | undefined) {
  const parse = (text: string) => {
    const items = text.split(",").map((item) => parseItem(item.trim()));
    return items.every((item) => item !== undefined) ? items : undefined;
  };
  return parsed(accepts, parse, z.string());
}

export const text = parsed("text", (text) => text);

export const pemFile = parsed("path of a PEM file", (path) => path);

export const url = parsed("a URL", (text) => (URL.canParse(text) ? text : undefined));

/** A number of this form within bounds. Number() alone would also read `0x10`, `1e3` and white space. */
function number(accepts: string, form: RegExp, min: number, max: number) {
  return parsed(accepts, (text) => {
    const value = Number(text);
    return form.test(text) && value >= min && value <= max ? value : undefined;
  });
}

/** A whole number within bounds; `unit` ends with a space. */
export const wholeNumber = (min: number, max: number, unit = "") =>
  number(`a whole number ${unit}from ${min} to ${max}`, /^\d+$/, min, max);

export const milliseconds = (min: number, max: number) => wholeNumber(min, max, "of milliseconds ");

/** One day exceeds the lifetime of every session JWT, and so the time for which a revocation must be retained. */
export const days = wholeNumber(0, 3650, "of days ");

/** Fractions allow less than one call per second. */
export const callsPerSecond = number("a number from 0 to 1000000", /^\d+(\.\d+)?$/, 0, 1_000_000);

export const burst = wholeNumber(1, 10_000_000);

/** What pg knows. It takes any other PGSSLMODE for `disable`. */
export const sslModes: ReadonlySet<string> = new Set([
  "disable",
  "no-verify",
  "prefer",
  "require",
  "verify-ca",
  "verify-full",
]);

/** Characters such as `#` in a password must be escaped: the URL would end there. */
export const databaseUrl = parsed("postgres://user:password@host:port/database", (text) => {
  const isUrl = /^postgres(ql)?:\/\//.test(text) && urlsOf(text).every((url) => URL.canParse(url));
  const mode = /[?&]sslmode=([^&]*)/.exec(text)?.[1] ?? "disable";
  return isUrl && sslModes.has(mode) ? text : undefined;
});

/**
 * An address to listen on: a host without brackets, and a port. Without a host it is every address, as Node.js does by default:
 * IPv6 and IPv4, or IPv4 alone on a machine without IPv6.
 */
export const listen = parsed(
  "host:port, such as 127.0.0.1:8080, [::1]:8080 or :8080 for every address",
  (text) => {
    const [, bracketed, plain, port] = /^(?:\[([^\]\s]+)\]|([^:\s]*)):(\d{1,5})$/.exec(text) ?? [];
    const host = bracketed ?? plain;
    if (host === undefined || Number(port) > 65_535) return undefined;
    return { host: host === "" ? undefined : host, port: Number(port) };
  },
);

/** `auto` as in nginx and Puma. 0 is refused, because other servers disagree on what it means; more than 256 is a typing error. */
export const workers = parsed("a whole number from 1 to 256, or auto for one per CPU core", (text) => {
  if (text === "auto") return Math.min(availableParallelism(), 256);
  const count = Number(text);
  return /^\d+$/.test(text) && count >= 1 && count <= 256 ? count : undefined;
});

export const masterKey = parsed("32 bytes in base64; `openssl rand -base64 32` makes one", masterKeyBytes);

export const masterKeys = list("master keys, each 32 bytes in base64, separated by commas", masterKeyBytes);

/** Encodes again and compares, because Buffer skips invalid characters: a mistyped key must not become another key. */
export function masterKeyBytes(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.length === 32 && bytes.toString("base64") === text ? bytes : undefined;
}

/** One byte of JSON for each character: every session JWT has the issuer, and its length is limited. */
export const issuer = parsed(
  "up to 255 visible ASCII characters except quotation mark and backslash",
  (text) => (/^[!#-[\]-~]{1,255}$/.test(text) ? text : undefined),
);

/** The secret has all permissions, so it must be one that cannot be guessed. */
export const bootstrapProject = parsed(
  "<project_id>:<secret>; an id has letters, digits, '.', '_' and '-', a secret 32 to 255 visible ASCII characters; " +
    "`openssl rand -base64 32` makes one",
  (text) => {
    const [, id = "", secret = ""] = /^([^:]+):([!-~]{32,255})$/.exec(text) ?? [];
    const projectId = parseProjectId(id);
    return projectId === undefined ? undefined : { projectId, secret };
  },
);

export const networks = parsed(
  "networks separated by commas, such as 10.0.0.0/8,2001:db8::/32; an address without a length is itself",
  (text) => {
    const list = new BlockList();
    for (const network of text.split(",")) {
      const [, address = "", length] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(network.trim()) ?? [];
      const [bits, type] = isIP(address) === 6 ? ([128, "ipv6"] as const) : ([32, "ipv4"] as const);
      if (isIP(address) === 0 || Number(length ?? 0) > bits) return undefined;
      list.addSubnet(address, Number(length ?? bits), type);
    }
    return list;
  },
);

/** As a browser sends them in `Origin`: in lower case, without a path and without the default port. */
export const origins = list(
  "origins separated by commas, such as https://app.example.com: http or https, in lower case, without path, default port or `*`",
  (origin) => (isOrigin(origin) ? origin : undefined),
);

function isOrigin(text: string): boolean {
  return /^https?:[^*]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}

export const pathPrefix = parsed("a path such as /auth, without a slash at the end", (text) =>
  /^(\/[A-Za-z0-9._~-]+)+$/.test(text) ? text : undefined,
);

export const cookieName = parsed("a cookie name", (text) =>
  /^[\w!#$%&'*+.^`|~-]+$/.test(text) ? text : undefined,
);

export const onOff = z.enum(["on", "off"]);
