import type { JWK } from "jose";
import { LRUCache } from "lru-cache";
import type { KeyWithId } from "../../jwt/signature.ts";
import type { CallContext } from "../../transport/call-context.ts";
import type { ProjectId } from "../ids.ts";
import { type LoadedPrivateKey, loadPrivateKey, loadPublicKey, newKeyMaterial } from "./key-material.ts";
import { type KeySchedule, defaultKeySchedule, jwksMaxAge } from "./key-schedule.ts";
import type { Project } from "../project.ts";
import type { MasterKeys } from "./sealing.ts";
import { type ScheduledKey, type SigningKeyStore, algorithmOf, publishedKeys } from "./signing-key.ts";

export type KeyOwner = Pick<Project, "id" | "policy">;

const maxCachedKeys = 10_000;

type Schedule = readonly [ScheduledKey, ...ScheduledKey[]];

/** A project's schedule as it was read at `time`. */
interface CachedSchedule {
  readonly keys: Schedule;
  readonly time: Date;
}

/**
 * The signing keys of all projects. Creates a project's first key on first use and the following ones on schedule. Caches key
 * material, which never changes; which key signs and whether one is revoked is read from the database every time. Only
 * isSigningWith() uses a cached schedule.
 */
export class KeyRing {
  readonly schedule: KeySchedule;
  readonly #store: SigningKeyStore;
  readonly #masterKeys: MasterKeys;
  readonly #now: () => Date;
  readonly #signing = new LRUCache<
    ProjectId,
    { readonly kid: string; readonly loading: Promise<LoadedPrivateKey> }
  >({ max: maxCachedKeys });
  readonly #verifying = new LRUCache<string, KeyWithId>({ max: maxCachedKeys });
  readonly #schedules = new LRUCache<ProjectId, CachedSchedule>({ max: maxCachedKeys });
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

  /** Returns the key that signs, and creates it if the project has none. Throws if its master key is not configured. */
  async signingKey(owner: KeyOwner, call: CallContext): Promise<LoadedPrivateKey> {
    const { kid } = await this.maintain(owner, call);
    return this.#load(owner.id, kid);
  }

  /** Returns undefined if the project has no such key, or has revoked it. */
  async verifyingKey(projectId: ProjectId, kid: string, call: CallContext): Promise<KeyWithId | undefined> {
    const cacheKey = `${projectId}/${kid}`;
    const known = this.#verifying.get(cacheKey);
    if (known !== undefined) {
      return (await this.#store.isSigningKeyGood(projectId, kid, call)) ? known : undefined;
    }
    const stored = await this.#store.findSigningKey(projectId, kid);
    if (stored === undefined) return undefined;
    const loaded = loadPublicKey(stored);
    this.#verifying.set(cacheKey, loaded);
    return stored.revocation === undefined ? loaded : undefined;
  }

  /**
   * Reports whether the key signs for the project, from a schedule that is at most as old as a cached JWKS: a rotation that
   * began since then has not ended. Does not see revocations of that time, so that it must not decide whether a key is valid.
   */
  async isSigningWith(owner: KeyOwner, kid: string, call: CallContext): Promise<boolean> {
    const now = this.#now();
    const cached = this.#schedules.get(owner.id);
    const ageMs = cached === undefined ? Infinity : now.getTime() - cached.time.getTime();
    const isYoung = ageMs >= 0 && ageMs < jwksMaxAge(this.schedule) * 1000;
    const keys = cached !== undefined && isYoung ? cached.keys : await this.#scheduleOf(owner, call);
    return activeKey(keys, now).kid === kid;
  }

  /** Returns the keys of the project's JWKS. Creates the first key if necessary, so that it is published before use. */
  async publicJwks(owner: KeyOwner, call: CallContext): Promise<readonly JWK[]> {
    await this.maintain(owner, call);
    const keys = await this.#store.listSigningKeys(owner.id, call);
    return publishedKeys(keys, this.#now()).map((key) => key.publicJwk);
  }

  /**
   * Starts a rotation: publishes the next key, which signs after the publication delay. Keeps a next key that is scheduled
   * already. Returns the id of the last scheduled key.
   */
  async rotate(owner: KeyOwner, call: CallContext): Promise<string> {
    const [, next] = await this.#scheduleOf(owner, call);
    if (next === undefined) await this.#once(owner.id, () => this.#addNext(owner));
    const keys = await this.#scheduleOf(owner, call);
    return (keys.at(-1) ?? keys[0]).kid;
  }

  /** Returns the key that signs. Creates the first key, or the next one if a rotation is due. */
  async maintain(owner: KeyOwner, call: CallContext): Promise<ScheduledKey> {
    const keys = await this.#scheduleOf(owner, call);
    const now = this.#now();
    const current = activeKey(keys, now);
    const { rotationPeriodMs } = this.schedule;
    const ageMs = now.getTime() - current.activateTime.getTime();
    if (rotationPeriodMs > 0 && ageMs >= rotationPeriodMs && keys.at(-1) === current) {
      await this.#once(owner.id, () => this.#addNext(owner));
    }
    return current;
  }

  async #scheduleOf(owner: KeyOwner, call: CallContext): Promise<Schedule> {
    const keys = await this.#readSchedule(owner.id, call);
    if (keys !== undefined) return keys;
    await this.#once(owner.id, () => this.#addFirst(owner));
    const started = await this.#readSchedule(owner.id, call);
    if (started !== undefined) return started;
    throw new Error(`project ${owner.id} has no signing key although its first one was just stored`);
  }

  async #readSchedule(projectId: ProjectId, call: CallContext): Promise<Schedule | undefined> {
    const time = this.#now();
    const keys = await this.#store.signingSchedule(projectId, time, call);
    if (!isFilled(keys)) return undefined;
    this.#schedules.set(projectId, { keys, time });
    return keys;
  }

  async #addFirst(owner: KeyOwner): Promise<void> {
    await this.#store.addFirstSigningKey(await this.#newKey(owner, 0));
  }

  async #addNext(owner: KeyOwner): Promise<void> {
    await this.#store.addNextSigningKey(await this.#newKey(owner, this.schedule.publicationDelayMs));
  }

  async #newKey({ id, policy }: KeyOwner, delayMs: number) {
    const material = await newKeyMaterial(id, algorithmOf(policy), this.#masterKeys.current);
    const createTime = this.#now();
    const activateTime = new Date(createTime.getTime() + delayMs);
    return { ...material, createTime, activateTime, retireTime: undefined, revocation: undefined };
  }

  /** Runs one change of a project's keys at a time; concurrent callers share it (single-flight). */
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
    this.#signing.set(projectId, { kid, loading });
    loading.catch(() => {
      if (this.#signing.get(projectId)?.loading === loading) this.#signing.delete(projectId);
    });
    return loading;
  }

  async #read(projectId: ProjectId, kid: string): Promise<LoadedPrivateKey> {
    const stored = await this.#store.findSigningKey(projectId, kid);
    if (stored === undefined) {
      throw new Error(`signing key ${kid} of project ${projectId} is not in the database`);
    }
    return loadPrivateKey(stored, [this.#masterKeys.current, ...this.#masterKeys.accepted]);
  }
}

/** A slow clock may find that no key is active yet. The first one signs then. */
function activeKey(keys: Schedule, now: Date): ScheduledKey {
  return keys.findLast((key) => key.activateTime <= now) ?? keys[0];
}

function isFilled<T>(list: readonly T[]): list is readonly [T, ...T[]] {
  return list.length > 0;
}
