import type { JWK } from "jose";
import type { CallContext } from "../../transport/call-context.ts";
import type { ProjectId } from "../ids.ts";
import {
  type LoadedKey,
  type LoadedPrivateKey,
  loadPrivateKey,
  loadPublicKey,
  newKeyMaterial,
} from "./key-material.ts";
import { type KeySchedule, defaultKeySchedule, jwksMaxAge } from "./key-schedule.ts";
import type { Project } from "../project.ts";
import type { MasterKeys } from "./sealing.ts";
import { type KeyInLine, type SigningKeyStore, algorithmOf, publishedKeys } from "./signing-key.ts";

/** Whose keys. */
export type KeyOwner = Pick<Project, "id" | "policy">;

/** Most keys, and lines of keys, kept in memory of each kind; beyond it the oldest is read again when needed. */
const maxCachedKeys = 10_000;

/** The keys that signed for a project or were to, at `time`. */
interface KnownLine {
  readonly line: KeyLine;
  readonly time: Date;
}

type KeyLine = readonly [KeyInLine, ...KeyInLine[]];

/**
 * The signing keys of all projects: made on first use, followed by others on schedule, opened once. Which key signs, and
 * whether one was revoked, is asked of the database every time; only key material, which never changes, stays in memory; and
 * what tells whether a JWT is better replaced.
 */
export class KeyRing {
  readonly schedule: KeySchedule;
  readonly #store: SigningKeyStore;
  readonly #masterKeys: MasterKeys;
  readonly #now: () => Date;
  readonly #signing = new Map<
    ProjectId,
    { readonly kid: string; readonly loading: Promise<LoadedPrivateKey> }
  >();
  readonly #verifying = new Map<string, LoadedKey>();
  readonly #lines = new Map<ProjectId, KnownLine>();
  readonly #changing = new Map<ProjectId, Promise<void>>();

  constructor(
    store: SigningKeyStore,
    masterKeys: MasterKeys,
    now: () => Date,
    schedule: KeySchedule = defaultKeySchedule,
  ) {
    this.#store = store;
    this.#masterKeys = masterKeys;
    this.#now = now;
    this.schedule = schedule;
  }

  /** The key that signs for the project, made now if it has none. Throws where it was sealed with an unknown master key. */
  async signingKey(owner: KeyOwner, call: CallContext): Promise<LoadedPrivateKey> {
    const { kid } = await this.#current(owner, call);
    return this.#load(owner.id, kid);
  }

  /** The key of this id that verifies for the project; undefined where it has none, or has revoked it. */
  async verifyingKey(projectId: ProjectId, kid: string, call: CallContext): Promise<LoadedKey | undefined> {
    const cacheKey = `${projectId}/${kid}`;
    const known = this.#verifying.get(cacheKey);
    if (known !== undefined) {
      return (await this.#store.isSigningKeyGood(projectId, kid, call)) ? known : undefined;
    }
    const stored = await this.#store.findSigningKey(projectId, kid);
    if (stored === undefined) return undefined;
    const loaded = loadPublicKey(stored);
    remember(this.#verifying, cacheKey, loaded);
    return stored.revocation === undefined ? loaded : undefined;
  }

  /** Whether the project has or had such a key, as far as {@link verifyingKey} has found out. */
  hasSeen(projectId: ProjectId, kid: string): boolean {
    return this.#verifying.has(`${projectId}/${kid}`);
  }

  /**
   * Whether this is the key that signs for the project, by what was read no longer ago than a JWKS may be cached: a rotation
   * that began since then is not over yet. A revocation is, so this is no answer to whether a key is good.
   */
  async isSigningWith(owner: KeyOwner, kid: string, call: CallContext): Promise<boolean> {
    const now = this.#now();
    const known = this.#lines.get(owner.id);
    const age = known === undefined ? Infinity : now.getTime() - known.time.getTime();
    const isYoung = age >= 0 && age < jwksMaxAge(this.schedule) * 1000;
    const line = known !== undefined && isYoung ? known.line : await this.#lineOf(owner, call);
    return signingIn(line, now).kid === kid;
  }

  /** The project's public keys, for its JWKS; makes the first key if there is none, so that it is published before use. */
  async publicJwks(owner: KeyOwner, call: CallContext): Promise<readonly JWK[]> {
    await this.#current(owner, call);
    const keys = await this.#store.listSigningKeys(owner.id, call);
    return publishedKeys(keys, this.#now()).map((key) => key.publicJwk);
  }

  /** Sees to it that some key signs, and that another is to take over where that is due. */
  async maintain(owner: KeyOwner, call: CallContext): Promise<void> {
    await this.#current(owner, call);
  }

  /**
   * Starts a rotation: a next key is published now and signs after the publication delay; where one waits already, that
   * one will. Returns the id of the last key in line.
   */
  async rotate(owner: KeyOwner, call: CallContext): Promise<string> {
    const [, next] = await this.#lineOf(owner, call);
    if (next === undefined) await this.#once(owner.id, () => this.#addNext(owner));
    const line = await this.#lineOf(owner, call);
    return (line.at(-1) ?? line[0]).kid;
  }

  async #current(owner: KeyOwner, call: CallContext): Promise<KeyInLine> {
    const line = await this.#lineOf(owner, call);
    const now = this.#now();
    const current = signingIn(line, now);
    const { rotationPeriodMs } = this.schedule;
    const age = now.getTime() - current.activateTime.getTime();
    if (rotationPeriodMs > 0 && age >= rotationPeriodMs && line.at(-1) === current) {
      await this.#once(owner.id, () => this.#addNext(owner));
    }
    return current;
  }

  async #lineOf(owner: KeyOwner, call: CallContext): Promise<KeyLine> {
    const line = await this.#readLine(owner.id, call);
    if (line !== undefined) return line;
    await this.#once(owner.id, () => this.#addFirst(owner));
    const started = await this.#readLine(owner.id, call);
    if (started !== undefined) return started;
    throw new Error(`project ${owner.id} has no signing key just after getting one`);
  }

  async #readLine(projectId: ProjectId, call: CallContext): Promise<KeyLine | undefined> {
    const time = this.#now();
    const line = await this.#store.signingLine(projectId, time, call);
    if (!isFilled(line)) return undefined;
    remember(this.#lines, projectId, { line, time });
    return line;
  }

  async #addFirst(owner: KeyOwner): Promise<void> {
    await this.#store.addFirstSigningKey(await this.#newKey(owner, 0));
  }

  async #addNext(owner: KeyOwner): Promise<void> {
    await this.#store.addNextSigningKey(await this.#newKey(owner, this.schedule.publicationDelayMs));
  }

  async #newKey({ id, policy }: KeyOwner, delay: number) {
    const material = await newKeyMaterial(id, algorithmOf(policy), this.#masterKeys.current);
    const createTime = this.#now();
    const activateTime = new Date(createTime.getTime() + delay);
    return { ...material, createTime, activateTime, retireTime: undefined, revocation: undefined };
  }

  /** What changes the keys of a project is done once for all who find at the same time that it is due. */
  #once(projectId: ProjectId, change: () => Promise<void>): Promise<void> {
    const running = this.#changing.get(projectId);
    if (running !== undefined) return running;
    const started = change().finally(() => this.#changing.delete(projectId));
    this.#changing.set(projectId, started);
    return started;
  }

  #load(projectId: ProjectId, kid: string): Promise<LoadedPrivateKey> {
    const known = this.#signing.get(projectId);
    if (known?.kid === kid) return known.loading;
    const loading = this.#read(projectId, kid);
    remember(this.#signing, projectId, { kid, loading });
    loading.catch(() => {
      if (this.#signing.get(projectId)?.loading === loading) this.#signing.delete(projectId);
    });
    return loading;
  }

  async #read(projectId: ProjectId, kid: string): Promise<LoadedPrivateKey> {
    const stored = await this.#store.findSigningKey(projectId, kid);
    if (stored === undefined) throw new Error(`signing key ${kid} of project ${projectId} is gone`);
    return loadPrivateKey(stored, [this.#masterKeys.current, ...this.#masterKeys.accepted]);
  }
}

/** The key in line that signs at `now`. A clock that lags may find none that is active yet: then it is the first that will be. */
function signingIn(line: KeyLine, now: Date): KeyInLine {
  return line.findLast((key) => key.activateTime <= now) ?? line[0];
}

function isFilled<T>(list: readonly T[]): list is readonly [T, ...T[]] {
  return list.length > 0;
}

function remember<K, V>(cache: Map<K, V>, key: K, value: V): void {
  const oldest = cache.size >= maxCachedKeys && !cache.has(key) ? cache.keys().next() : undefined;
  if (oldest?.done === false) cache.delete(oldest.value);
  cache.set(key, value);
}
