import { Code, ConnectError, createServiceImplSpec } from "@connectrpc/connect";
import fc from "fast-check";
import { readActingUser } from "../../../src/auth/acting-user.ts";
import { cookie, serviceScheme, standardScheme, unknownPeer } from "../../../src/auth/request-credentials.ts";
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
import { type Values, anyJwt, anyToken, edited, filledIn, placeholders } from "./texts.ts";

/** Value of all placeholders. No parser may repeat it. */
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

interface Subject {
  readonly name: string;
  /** Share of all inputs. */
  readonly share: number;
  /** Throws if the parser does something wrong. */
  readonly property: fc.IProperty<[never]> | fc.IRawProperty<unknown>;
}

const anyText = fc.oneof(
  edited(anyToken.map((text) => filledIn(text, values))),
  edited(anyJwt.map((text) => filledIn(text, { ...values, jwt }))),
  fc.string({ unit: "binary", maxLength: 80 }),
);

const headerValues = [
  "10S",
  "application/json; charset=utf-8",
  "text/event-stream;q=0.5, */*",
  "Zo%C3%AB%2C%20the%20desk",
  "localhost:80",
  "[::1]:80",
];

const subjects: readonly Subject[] = [
  {
    name: "session tokens",
    share: 0.15,
    property: fc.property(anyText, (text) => {
      const ref = parseSessionToken(text);
      if (ref !== undefined && (text.length !== 55 || ref.hash.length !== 32)) {
        throw new Error("not a token");
      }
    }),
  },
  {
    name: "session JWTs",
    share: 0.25,
    property: fc.property(edited(fc.oneof(anyJwt, fc.constant(jwt))), (text) => {
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
        const page = parsed(() => parsePage(size, text, filters, parseSessionId));
        if (page !== undefined && text !== "") throw new Error("accepts an invalid page token");
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
      for (const scheme of [standardScheme, serviceScheme]) parsed(() => scheme(header, unknownPeer));
      parsed(() => cookie(header, "ory_kratos_session"));
    }),
  },
  {
    name: "headers of the protocols",
    share: 0.1,
    property: fc.property(edited(fc.constantFrom(...headerValues)), (text) => {
      for (const name of ["grpc-timeout", "connect-timeout-ms", "x-server-timeout"]) {
        const timeout = parsed(() => readTimeout({ [name]: text }, 1000, malformedTimeout));
        if (timeout !== undefined && !(timeout >= 0 && timeout <= 1000)) {
          throw new Error("the timeout is out of range");
        }
      }
      const actingUser = parsed(() => readActingUser(text));
      if (
        actingUser !== undefined &&
        actingUser !== parsed(() => readActingUser(encodeURIComponent(actingUser)))
      ) {
        throw new Error("the acting user is read in two ways");
      }
      isJsonContentType(text);
      chooseStreamFormat(text);
      protocolOf(Buffer.from(text));
      isAuthority(text);
    }),
  },
  {
    name: "JSON",
    share: 0.05,
    property: fc.property(fc.json({ maxDepth: 8 }), anyDamage, (text, damage) => {
      parsed(() => parseJsonBody(damaged(Buffer.from(text), damage)));
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
        lastEventId: "",
      };
      for (const mode of ["refuse", "ignore"] as const) {
        const options = { unknownMembers: mode, unknownQueryParameters: mode, registry: undefined };
        const bound = parsed(() => bindRequest(route, parts, options));
        if (bound !== undefined && bound.$typeName !== route.method.input.typeName) {
          throw new Error("the message has another type");
        }
      }
    }),
  },
];

/** Result of a parser; undefined if it rejects its input with an error for callers that repeats no secret. */
function parsed<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    const isRejection =
      error instanceof RequestError || error instanceof SessiondError || error instanceof ConnectError;
    if (!isRejection) throw error;
    const shown = error instanceof RequestError ? error.failure.error : error;
    if (shown.code === Code.Internal) {
      throw new Error(`the error blames the service: ${shown.message}`, { cause: error });
    }
    const details =
      shown instanceof ConnectError
        ? shown.details.map((detail) => ("value" in detail ? detail.value : undefined))
        : shown.violations;
    const text = `${shown.message} ${JSON.stringify(details)}`;
    if (text.includes(secret.slice(0, 30))) {
      throw new Error(`the error repeats a secret: ${text}`, { cause: error });
    }
    return undefined;
  }
}

/** Passes generated inputs to the parsers. Throws with the smallest failing input; returns the number of inputs by parser. */
export function fuzzParsers(options: { seed: number; inputs: number }): Record<string, number> {
  const { seed, inputs } = options;
  return Object.fromEntries(
    subjects.map(({ name, share, property }) => {
      const numRuns = Math.ceil(inputs * share);
      // oxlint-disable-next-line typescript/no-explicit-any -- each has its own arguments
      fc.assert(property as fc.IProperty<any>, { seed, numRuns, includeErrorInReport: true });
      return [name, numRuns];
    }),
  );
}
