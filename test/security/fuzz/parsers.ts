import { Code, ConnectError, createServiceImplSpec } from "@connectrpc/connect";
import fc from "fast-check";
import { unknownPeer,cookie,serviceScheme,standardScheme } from "../../../src/auth/request-credentials.ts";
import { parseCompactJws } from "../../../src/jwt/compact-jws.ts";
import { SessiondError } from "../../../src/domain/errors.ts";
import { parseSessionId } from "../../../src/domain/ids.ts";
import { readStatement } from "../../../src/jwt/statement.ts";
import { parsePage } from "../../../src/domain/page.ts";
import { parseSessionToken } from "../../../src/domain/token.ts";
import { bindRequest } from "../../../src/rest/binding/bind.ts";
import { splitTarget } from "../../../src/transport/http-message.ts";
import { RequestError, malformedTimeout } from "../../../src/rest/errors/failure.ts";
import { parseJsonBody } from "../../../src/rest/binding/json-parse.ts";
import { chooseStreamFormat, isJsonContentType } from "../../../src/rest/http/media-type.ts";
import { buildRoutes } from "../../../src/rest/build-routes.ts";
import { readTimeout } from "../../../src/transport/deadline.ts";
import { protocolOf } from "../../../src/server/listener/protocol-sniffer.ts";
import { isAuthority } from "../../../src/server/rpc/header-checks.ts";
import { restServices } from "../hostile/surface.ts";
import { anyCredentials } from "./credentials.ts";
import { anyRestRequest } from "./http-requests.ts";
import { anyDamage, damaged } from "./json-arbitrary.ts";
import { type Values, anyJwt, anyToken, filledIn, mistreated, placeholders } from "./texts.ts";

/** What stands for everything secret here; no parser may repeat it. */
const secret = `sst_${"Secret_0".repeat(6)}abc`;
const values = Object.fromEntries(placeholders.map((name) => [name, secret])) as Values;
const jwt = [
  { alg: "ES256", kid: "k", typ: "JWT" },
  { sid: "01900000-0000-7000-8000-000000000000", iat: 1, exp: 2, sub: "a" },
]
  .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
  .concat("c2lnbmF0dXJl")
  .join(".");

const { table } = buildRoutes(
  restServices.map((service) => ({ spec: createServiceImplSpec(service, {}) })),
  [],
  [],
);

/** A parser under attack: throws where it did what it must not. */
interface Subject {
  readonly name: string;
  /** Of all inputs. */
  readonly share: number;
  readonly property: fc.IProperty<[never]> | fc.IRawProperty<unknown>;
}

const anyText = fc.oneof(
  mistreated(anyToken.map((text) => filledIn(text, values))),
  mistreated(anyJwt.map((text) => filledIn(text, { ...values, jwt }))),
  fc.string({ unit: "binary", maxLength: 80 }),
);

const subjects: readonly Subject[] = [
  {
    name: "session tokens",
    share: 0.15,
    property: fc.property(anyText, (text) => {
      const ref = parseSessionToken(text);
      if (ref !== undefined && (text.length !== 55 || ref.hash.length !== 32)) {
        throw new Error("this is no token");
      }
    }),
  },
  {
    name: "session JWTs",
    share: 0.25,
    property: fc.property(mistreated(fc.oneof(anyJwt, fc.constant(jwt))), (text) => {
      const jws = parseCompactJws(filledIn(text, { ...values, jwt }));
      if (jws !== undefined) readStatement(jws);
    }),
  },
  {
    name: "page tokens",
    share: 0.1,
    property: fc.property(
      anyText,
      fc.integer(),
      fc.array(fc.string(), { maxLength: 3 }),
      (text, size, filters) => {
        const page = refusing(() => parsePage(size, text, filters, parseSessionId));
        if (page !== undefined && text !== "") throw new Error("a page token that nobody made");
      },
    ),
  },
  {
    name: "credentials in headers",
    share: 0.15,
    property: fc.property(anyCredentials, (headers) => {
      const header = new Headers();
      for (const [name, value] of headers) {
        header.append(
          name,
          filledIn(value, values)
            .replaceAll(/[^\x20-\x7e]/g, "?")
            .trim(),
        );
      }
      for (const scheme of [standardScheme, serviceScheme]) refusing(() => scheme(header, unknownPeer));
      refusing(() => cookie(header, "ory_kratos_session"));
    }),
  },
  {
    name: "headers of the protocols",
    share: 0.1,
    property: fc.property(
      mistreated(
        fc.constantFrom(
          "10S",
          "application/json; charset=utf-8",
          "text/event-stream;q=0.5, */*",
          "localhost:80",
          "[::1]:80",
        ),
      ),
      (text) => {
        for (const name of ["grpc-timeout", "connect-timeout-ms", "x-server-timeout"]) {
          const timeout = refusing(() => readTimeout({ [name]: text }, 1000, malformedTimeout));
          if (timeout !== undefined && !(timeout >= 0 && timeout <= 1000)) throw new Error("no timeout");
        }
        isJsonContentType(text);
        chooseStreamFormat(text);
        protocolOf(Buffer.from(text));
        isAuthority(text);
      },
    ),
  },
  {
    name: "JSON",
    share: 0.05,
    property: fc.property(fc.json({ maxDepth: 8 }), anyDamage, (text, damage) => {
      refusing(() => parseJsonBody(damaged(Buffer.from(text), damage)));
    }),
  },
  {
    name: "paths, queries and bodies of REST",
    share: 0.2,
    property: fc.property(anyRestRequest, ({ verb, target: targetOf, body }) => {
      const target = splitTarget(targetOf(values));
      const match = table.match(verb, target.path);
      if (match.kind !== "found") return;
      const { route, segments } = match;
      const parts = {
        target,
        segments,
        body: body?.(values) ?? Buffer.alloc(0),
        contentType: "application/json",
      };
      for (const mode of ["refuse", "ignore"] as const) {
        const options = { unknownMembers: mode, unknownQueryParameters: mode, registry: undefined };
        const bound = refusing(() => bindRequest(route, parts, options));
        if (bound !== undefined && bound.$typeName !== route.method.input.typeName) {
          throw new Error("another message");
        }
      }
    }),
  },
];

/** What it returns, or undefined where it refuses as it should: in words that repeat no secret. */
function refusing<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    const isRefusal =
      error instanceof RequestError || error instanceof SessiondError || error instanceof ConnectError;
    if (!isRefusal) throw error;
    const shown = error instanceof RequestError ? error.failure.error : error;
    if (shown.code === Code.Internal) {
      throw new Error(`it calls itself at fault: ${shown.message}`, { cause: error });
    }
    const details =
      shown instanceof ConnectError
        ? shown.details.map((detail) => ("value" in detail ? detail.value : undefined))
        : shown.violations;
    const said = `${shown.message} ${JSON.stringify(details)}`;
    if (said.includes(secret.slice(0, 30))) {
      throw new Error(`a secret is repeated: ${said}`, { cause: error });
    }
    return undefined;
  }
}

/** Throws generated inputs at the parsers. Fails with the smallest input that does what it must not; returns the counts. */
export function fuzzParsers({
  seed,
  inputs,
}: {
  readonly seed: number;
  readonly inputs: number;
}): Record<string, number> {
  return Object.fromEntries(
    subjects.map(({ name, share, property }) => {
      const numRuns = Math.ceil(inputs * share);
      // oxlint-disable-next-line typescript/no-explicit-any -- each has arguments of its own
      fc.assert(property as fc.IProperty<any>, { seed, numRuns, includeErrorInReport: true });
      return [name, numRuns];
    }),
  );
}
