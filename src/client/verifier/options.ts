import { type VerifierClock, machineClock } from "./stream/clock.ts";
import type { TlsClientOptions } from "../tls.ts";
import type { Credential } from "./stream/connections.ts";

/** What to do with a JWT that is good by what is held, when that is older than `maxStaleness`. */
export type OnStale =
  | "ask" // call Authenticate; refuse as stale if it does not answer
  | "refuse" // refuse as stale
  | "accept"; // accept, and say so in the verdict and by an event; refuse before the first snapshot

/** Where a verifier learns what is revoked, and how strict it is. All times in milliseconds. */
export interface VerifierOptions {
  /** Such as `http://127.0.0.1:8080`; several where replicas have addresses of their own. */
  readonly baseUrl: string | readonly string[];
  /** Whom to trust at an `https` address, and the client certificate. */
  readonly tls?: TlsClientOptions;
  /** A service's of the project whose JWTs are taken, with the permission `sessions.read`, and `sessions.authenticate` to ask when stale. */
  readonly credential: Credential;
  /** The deployment's `SESSIOND_ISSUER`: JWTs are issued by `<issuer>/<project id>`. `sessiond` by default. */
  readonly issuer?: string;
  /** Up to which age of what is held the verifier answers by itself; 5,000 by default, at least 300. */
  readonly maxStaleness?: number;
  /** And beyond it; "ask" by default. */
  readonly onStale?: OnStale;
  /** How far this machine's clock and the server's may differ: 0 to 30,000, 5,000 by default. */
  readonly clockTolerance?: number;
  /** Longest silence of the server: 100 to 60,000; 1,000 by default, or a third of maxStaleness where that is shorter. */
  readonly heartbeat?: number;
  /** Longest wait for an answer when the server is asked: 2,000 by default. */
  readonly askTimeout?: number;
  /** How many JWTs whose signature was checked are kept: 10,000 by default; 0 keeps none. */
  readonly cacheSize?: number;
  /** Shortest time between two fetches of the JWKS that unknown key ids can cause: 5,000 by default. */
  readonly jwksRefetchInterval?: number;
  /** For tests. */
  readonly clock?: VerifierClock;
}

/** Options with nothing left open. */
export interface Settings {
  readonly baseUrls: readonly [string, ...string[]];
  readonly tls: TlsClientOptions | undefined;
  readonly credential: Credential;
  /** What `iss` must be. */
  readonly issuer: string;
  readonly maxStaleness: number;
  readonly onStale: OnStale;
  readonly clockTolerance: number;
  readonly heartbeat: number;
  readonly askTimeout: number;
  readonly cacheSize: number;
  readonly jwksRefetchInterval: number;
  readonly clock: VerifierClock;
}

/** Completes options. Throws an Error that lists everything that is wrong with them. */
export function readOptions(options: VerifierOptions): Settings {
  const problems: string[] = [];
  const within = (name: string, value: number, least: number, most: number): number => {
    if (!(value >= least && value <= most)) {
      problems.push(`${name} is ${value}: it must be from ${least} to ${most}`);
    }
    return value;
  };
  const maxStaleness = within("maxStaleness", options.maxStaleness ?? 5000, 300, 86_400_000);
  const heartbeat = within("heartbeat", options.heartbeat ?? Math.min(1000, maxStaleness / 3), 100, 60_000);
  if (heartbeat > maxStaleness / 2) {
    problems.push(
      `heartbeat is ${heartbeat}: more than half of maxStaleness, ${maxStaleness}, would make it stale between heartbeats`,
    );
  }
  const settings = {
    baseUrls: readBaseUrls(options.baseUrl, problems),
    tls: options.tls,
    credential: options.credential,
    issuer: `${options.issuer ?? "sessiond"}/${options.credential.projectId}`,
    maxStaleness,
    onStale: options.onStale ?? "ask",
    clockTolerance: within("clockTolerance", options.clockTolerance ?? 5000, 0, 30_000),
    heartbeat: Math.round(heartbeat),
    askTimeout: within("askTimeout", options.askTimeout ?? 2000, 1, 60_000),
    cacheSize: within("cacheSize", options.cacheSize ?? 10_000, 0, 10_000_000),
    jwksRefetchInterval: within("jwksRefetchInterval", options.jwksRefetchInterval ?? 5000, 0, 600_000),
    clock: options.clock ?? machineClock,
  };
  if (problems.length > 0) throw new Error(`the verifier's options are wrong: ${problems.join("; ")}`);
  return settings;
}

function readBaseUrls(baseUrl: string | readonly string[], problems: string[]): [string, ...string[]] {
  const [first = "", ...others] = typeof baseUrl === "string" ? [baseUrl] : baseUrl;
  if (![first, ...others].every((url) => URL.canParse(url) && /^https?:$/.test(new URL(url).protocol))) {
    problems.push("baseUrl must be an http or https URL, such as http://127.0.0.1:8080, or several");
  }
  return [first.replace(/\/+$/, ""), ...others.map((url) => url.replace(/\/+$/, ""))];
}
