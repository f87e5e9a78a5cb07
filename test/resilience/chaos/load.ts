import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { RevokeAllRequestSchema } from "../../../gen/session/v1/session_service_pb.ts";
import type { Sessiond } from "../../../src/client/client.ts";
import type { Ending } from "./history.ts";
import { type KnownSession, Population, below, chance } from "./population.ts";
import { type Outcome, type Receipt, Recorder } from "./recorder.ts";

type Sessions = Sessiond["sessions"];
type RevokeAllScope = NonNullable<MessageInitShape<typeof RevokeAllRequestSchema>["scope"]>;

/** A revocation that returned, to measure its propagation. */
export interface Acknowledged {
  readonly ending: Ending;
  readonly revision: number;
  readonly at: number;
}

export interface LoadOptions {
  readonly replicas: readonly { readonly connect: (timeoutMs: number) => Sessions }[];
  readonly clients: number;
  /** Pause of a client between two operations, in milliseconds. Default: none. */
  readonly thinkMs?: number;
  /** Number of members, in how many organizations. */
  readonly members: number;
  readonly organizations: number;
  /** Called for each session that is used, for each before it is revoked, and for each revocation that returned. */
  readonly onUsed?: (session: KnownSession) => void;
  readonly onRevoking?: (session: KnownSession) => void;
  readonly onRevoked?: (revocation: Acknowledged, session: KnownSession | undefined) => void;
}

/** Deadline of a call, in milliseconds. Shorter than a replica stays frozen. */
const deadline = 2000;

/** Clients that create, use and revoke sessions at random replicas, and record the answers. */
export class Load {
  readonly recorder = new Recorder();
  readonly #population: Population;
  readonly #options: LoadOptions;
  readonly #connections: readonly Sessions[];
  #stopping = false;
  #running: Promise<unknown>;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#population = new Population(options.members, options.organizations);
    this.#connections = options.replicas.map((replica) => replica.connect(deadline));
    this.#running = Promise.all(Array.from({ length: options.clients }, () => this.#client()));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }

  async #client(): Promise<void> {
    while (!this.#stopping) {
      const step = this.#choose();
      await step();
      const { thinkMs } = this.#options;
      if (thinkMs !== undefined) await delay(thinkMs);
    }
  }

  #choose(): () => Promise<void> {
    const session = this.#population.any();
    const dice = below(1000);
    if (session === undefined || dice < 250) return () => this.#create();
    if (dice < 680) return () => this.#authenticate(session);
    if (dice < 730) return () => this.#extend(session);
    if (dice < 940) return () => this.#revoke(session);
    if (dice < 965) return () => this.#revokeMember();
    if (dice < 980) return () => this.#revokeSelf(session);
    const { member } = this.#population.member();
    if (dice < 990) return () => this.#revokeAll("member", { case: "memberId", value: member });
    if (dice < 998) {
      const value = this.#population.organization();
      return () => this.#revokeAll("organization", { case: "organizationId", value });
    }
    return () => this.#revokeAll("project", { case: "project", value: {} });
  }

  get #anywhere(): Sessions {
    const connection = this.#connections[below(this.#connections.length)];
    if (connection === undefined) throw new Error("a load needs at least one replica");
    return connection;
  }

  async #create(): Promise<void> {
    const { member, organization } = this.#population.member();
    const requestId = chance(0.5) ? randomUUID() : "";
    const create = () => this.#anywhere.create({ memberId: member, organizationId: organization, requestId });
    const first = await this.recorder.attempt(create);
    // A creation whose outcome is unknown is repeated, on any replica; it counts from its first call on.
    const repeat = "failed" in first && requestId !== "" ? await this.recorder.attempt(create) : first;
    const outcome = { ...repeat, start: first.start };
    if (!("answer" in outcome)) return;
    const known = this.recorder.creation({ member, organization }, outcome);
    this.#population.add(known);
    this.#options.onUsed?.(known);
  }

  async #authenticate(session: KnownSession, connection = this.#anywhere): Promise<void> {
    this.#options.onUsed?.(session);
    const by = chance(0.5) ? "token" : "jwt";
    const outcome = await this.recorder.attempt(() =>
      connection.authenticate({ credential: { case: by, value: session[by] } }),
    );
    if (!this.recorder.observation(session.id, by, outcome)) this.#population.ended(session);
  }

  async #extend(session: KnownSession): Promise<void> {
    const outcome = await this.recorder.attempt(() => this.#anywhere.extend({ id: session.id }));
    if (!this.recorder.observation(session.id, "extend", outcome)) this.#population.ended(session);
  }

  async #revoke(session: KnownSession): Promise<void> {
    this.#options.onRevoking?.(session);
    const name = (["id", "token", "jwt"] as const)[below(3)] ?? "id";
    const outcome = await this.recorder.attempt(() =>
      this.#anywhere.revoke({ target: { case: name, value: session[name] } }),
    );
    if ("saw" in outcome) this.recorder.observation(session.id, "revoke", outcome);
    else await this.#ended({ scope: "session", target: session.id }, outcome, session);
  }

  async #revokeMember(): Promise<void> {
    const { member } = this.#population.member();
    const outcome = await this.recorder.attempt(() =>
      this.#anywhere.revoke({ target: { case: "memberId", value: member } }),
    );
    await this.#ended({ scope: "member", target: member }, outcome, undefined);
  }

  /** Revokes all sessions of the end user, with or without the current one. */
  async #revokeSelf(session: KnownSession): Promise<void> {
    const except = chance(0.5) ? session.id : "";
    const outcome = await this.recorder.attempt(() =>
      this.#anywhere.revokeAll(
        { scope: { case: "self", value: {} }, exceptSessionId: except },
        { headers: { authorization: `Bearer ${session.token}` } },
      ),
    );
    if (!this.recorder.observation(session.id, "caller", outcome)) this.#population.ended(session);
    await this.#ended({ scope: "member", target: session.member, ...sparing(except) }, outcome, session);
  }

  async #revokeAll(scope: Ending["scope"], request: RevokeAllScope): Promise<void> {
    const except = chance(0.5) ? (this.#population.alive()?.id ?? "") : "";
    const outcome = await this.recorder.attempt(() =>
      this.#anywhere.revokeAll({ scope: request, exceptSessionId: except, countRevoked: chance(0.1) }),
    );
    const target = typeof request.value === "string" ? request.value : "";
    await this.#ended({ scope, target, ...sparing(except) }, outcome, this.#population.alive());
  }

  /** Records the revocation. Half of the time asks every replica at once for the state of the session. */
  async #ended(ending: Ending, outcome: Outcome<Receipt>, session: KnownSession | undefined): Promise<void> {
    if ("saw" in outcome) return;
    this.recorder.revocation(ending, outcome);
    if ("answer" in outcome) {
      const { revision } = outcome.answer;
      this.#options.onRevoked?.({ ending, revision: Number(revision), at: outcome.end }, session);
    }
    if (session === undefined || chance(0.5)) return;
    await Promise.all(this.#connections.map((connection) => this.#authenticate(session, connection)));
  }
}

function sparing(except: string): { readonly except?: string } {
  return except === "" ? {} : { except };
}
