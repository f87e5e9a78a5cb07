import { type ClientClock, machineClock } from "../clock.ts";
import type { Credential, TlsClientOptions } from "../transport.ts";

/** Treatment of a JWT that passes every local check while the known revocations are older than `maxStaleness`. */
export type OnStale = (typeof onStaleValues)[number];
const onStaleValues = [
  "ask", // call Authenticate; reject as stale if it does not answer
  "refuse", // reject as stale
  "accept", // accept with `stale: true` and the event `staleAccepted`; reject as stale before the first snapshot
] as const;

/**
 * Treatment of a JWT that passes every local check while the followed log has another history than before, because the database was
 * restored to an earlier state or lost commits in a failover, until a log that began with `sessiond recover` is followed. It comes
 * before `onStale`.
 */
export type OnHistoryChanged = (typeof onHistoryChangedValues)[number];
const onHistoryChangedValues = [
  "ask", // call Authenticate; reject as history_changed if it does not answer
  "refuse", // reject as history_changed
] as const;

/** All times are in milliseconds. */
export interface VerifierOptions {
  /** Such as `http://127.0.0.1:8080`, or several addresses of one service. */
  readonly baseUrl: string | readonly string[];
  readonly tls?: TlsClientOptions;
  /**
   * A service credential of the project whose JWTs are verified. Needs the permission `revocations.watch`,
   * and `sessions.authenticate` to ask.
   */
  readonly credential: Credential;
  /** The deployment's `SESSIOND_ISSUER`, `sessiond` by default. JWTs are issued by `<issuer>/<project id>`. */
  readonly issuer?: string;
  /** Age of the known revocations up to which the verifier decides locally: at least 300; 5,000 by default. */
  readonly maxStaleness?: number;
  /** "ask" by default. */
  readonly onStale?: OnStale;
  /** "ask" by default. */
  readonly onHistoryChanged?: OnHistoryChanged;
  /** Longest silence of the server: 100 to 60,000, at most half of maxStaleness; by default 1,000 or a third of maxStaleness. */
  readonly heartbeat?: number;
  /** Longest wait for Authenticate and for the JWKS: 1 to 60,000; 2,000 by default. */
  readonly askTimeout?: number;
  /** Number of JWTs whose checked signature is cached: 0 to 10,000,000; 10,000 by default. Allocates 24 bytes each in advance. */
  readonly cacheSize?: number;
  /** Shortest time between two fetches of the JWKS that unknown key ids cause: 0 to 600,000; 5,000 by default. */
  readonly jwksRefetchInterval?: number;
  /** Replaces the machine's clock in tests. */
  readonly clock?: ClientClock;
}

/** Complete and valid options. */
export interface VerifierSettings extends Required<Omit<VerifierOptions, "baseUrl" | "tls" | "issuer">> {
  readonly baseUrls: readonly string[];
  readonly tls: TlsClientOptions | undefined;
  /** Expected `iss`. */
  readonly issuer: string;
}

/** Applies defaults. Throws an Error that lists every invalid option. */
export function readOptions(options: VerifierOptions): VerifierSettings {
  const problems: string[] = [];
  const within = (name: string, value: number, least: number, most: number): number => {
    if (!(value >= least && value <= most)) {
      problems.push(`${name} is ${value}: it must be from ${least} to ${most}`);
    }
    return value;
  };
  const oneOf = <Value extends string>(name: string, value: Value, values: readonly Value[]): Value => {
    if (!values.includes(value)) problems.push(`${name} is ${value}: it must be ${values.join(" or ")}`);
    return value;
  };
  const maxStaleness = within("maxStaleness", options.maxStaleness ?? 5000, 300, 86_400_000);
  const heartbeat = within("heartbeat", options.heartbeat ?? Math.min(1000, maxStaleness / 3), 100, 60_000);
  if (heartbeat > maxStaleness / 2) {
    problems.push(
      `heartbeat is ${heartbeat}: it must be at most half of maxStaleness, which is ${maxStaleness}`,
    );
  }
  const settings = {
    baseUrls: readBaseUrls(options.baseUrl, problems),
    tls: options.tls,
    credential: options.credential,
    issuer: `${options.issuer ?? "sessiond"}/${options.credential.projectId}`,
    maxStaleness,
    onStale: oneOf("onStale", options.onStale ?? "ask", onStaleValues),
    onHistoryChanged: oneOf("onHistoryChanged", options.onHistoryChanged ?? "ask", onHistoryChangedValues),
    heartbeat: Math.round(heartbeat),
    askTimeout: within("askTimeout", options.askTimeout ?? 2000, 1, 60_000),
    cacheSize: within("cacheSize", options.cacheSize ?? 10_000, 0, 10_000_000),
    jwksRefetchInterval: within("jwksRefetchInterval", options.jwksRefetchInterval ?? 5000, 0, 600_000),
    clock: options.clock ?? machineClock,
  };
  if (problems.length > 0) throw new Error(`invalid verifier options: ${problems.join("; ")}`);
  return settings;
}

function readBaseUrls(baseUrl: string | readonly string[], problems: string[]): readonly string[] {
  const urls = [baseUrl].flat();
  if (
    urls.length === 0 ||
    !urls.every((url) => URL.canParse(url) && /^https?:$/.test(new URL(url).protocol))
  ) {
    problems.push("baseUrl must be one or several http or https URLs, such as http://127.0.0.1:8080");
  }
  return urls.map((url) => url.replace(/\/+$/, ""));
}
