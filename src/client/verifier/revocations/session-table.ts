/** 32-bit words of a row: the id, the two halves of the revision, and the second until which it matters (0: empty row). */
const rowWords = 7;
const highWord = 4;
const lowWord = 5;
const untilWord = 6;

const shardCount = 256;
const smallestCapacity = 8;
const wordSize = 2 ** 32;
const maxSecond = wordSize - 1;

/**
 * Revoked sessions by id: a hash table with open addressing and rows of 28 bytes outside the JavaScript heap. 256 small tables
 * in place of a large one keep every rebuild short.
 */
export class SessionTable {
  readonly #shards = Array.from({ length: shardCount }, () => new Shard());
  readonly #key = new Uint32Array(4);
  #nextToForget = 0;

  /** Number of sessions, including those that forget() has not visited yet. */
  get size(): number {
    return this.#shards.reduce((sum, shard) => sum + shard.size, 0);
  }

  /** Bytes of all rows, including empty ones. */
  get bytes(): number {
    return this.#shards.reduce((sum, shard) => sum + shard.bytes, 0);
  }

  /**
   * Adds a session that was revoked at `revision`, until `until` (milliseconds since 1970). The first revocation of a session
   * stays. Throws if `id` is not a UUID.
   */
  add(id: string, revision: number, until: number): void {
    if (!readUuid(id, this.#key)) {
      throw new Error(`a revoked session has the id "${id}", which is not a UUID`);
    }
    const hash = hashOf(this.#key, 0);
    const seconds = Math.min(Math.max(1, Math.ceil(until / 1000)), maxSecond);
    this.#shardOf(hash).add(this.#key, hash, revision, seconds);
  }

  /** Returns the revision at which the session was revoked, if it was. */
  find(id: string): number | undefined {
    if (!readUuid(id, this.#key)) return undefined;
    const hash = hashOf(this.#key, 0);
    return this.#shardOf(hash).find(this.#key, hash);
  }

  /** Drops rows that mattered only before `limit` (milliseconds since 1970) from the next `shards` of the 256 tables. */
  forget(limit: number, shards: number): void {
    for (let i = 0; i < shards; i++) {
      this.#shards[this.#nextToForget]?.forget(Math.floor(limit / 1000));
      this.#nextToForget = (this.#nextToForget + 1) % shardCount;
    }
  }

  /** Adds every session of another table. */
  addAll(other: SessionTable): void {
    for (const [i, shard] of other.#shards.entries()) this.#shards[i]?.addAll(shard);
  }

  #shardOf(hash: number): Shard {
    const shard = this.#shards[hash % shardCount];
    if (shard === undefined) throw new Error("the hash of a session id is not a whole number");
    return shard;
  }
}

/** One table with linear probing. Only a rebuild removes rows, so that no probe meets a gap. */
class Shard {
  size = 0;
  #words = new Uint32Array(0);
  #capacity = 0;
  #earliest = Infinity;

  get bytes(): number {
    return this.#words.byteLength;
  }

  add(key: Uint32Array, hash: number, revision: number, until: number): void {
    if (this.size >= this.#capacity * 0.75) this.#rebuild(Math.max(smallestCapacity, this.#capacity * 2), 0);
    const row = this.#rowOf(key, 0, hash);
    const known = this.#words[row + untilWord] ?? 0;
    if (known === 0) {
      this.#words.set(key, row);
      this.#words[row + highWord] = Math.floor(revision / wordSize);
      this.#words[row + lowWord] = revision % wordSize;
      this.size++;
    }
    this.#words[row + untilWord] = Math.max(known, until);
    this.#earliest = Math.min(this.#earliest, until);
  }

  addAll(other: Shard): void {
    const words = other.#words;
    for (let row = 0; row < words.length; row += rowWords) {
      const until = words[row + untilWord] ?? 0;
      if (until === 0) continue;
      const revision = (words[row + highWord] ?? 0) * wordSize + (words[row + lowWord] ?? 0);
      this.add(words.subarray(row, row + highWord), hashOf(words, row), revision, until);
    }
  }

  find(key: Uint32Array, hash: number): number | undefined {
    if (this.size === 0) return undefined;
    const row = this.#rowOf(key, 0, hash);
    if (this.#words[row + untilWord] === 0) return undefined;
    return (this.#words[row + highWord] ?? 0) * wordSize + (this.#words[row + lowWord] ?? 0);
  }

  forget(limit: number): void {
    if (this.#earliest >= limit) return;
    let live = 0;
    for (let row = 0; row < this.#words.length; row += rowWords) {
      if ((this.#words[row + untilWord] ?? 0) >= limit) live++;
    }
    // A power of two that leaves room to grow.
    const capacity = Math.max(smallestCapacity, 2 ** Math.ceil(Math.log2(live / 0.6)));
    this.#rebuild(live === 0 ? 0 : capacity, limit);
  }

  /** Returns the index of the row for the id at `from[at]`, or of the empty row where it belongs. */
  #rowOf(from: Uint32Array, at: number, hash: number): number {
    const words = this.#words;
    const mask = this.#capacity - 1;
    for (let slot = Math.floor(hash / shardCount) & mask; ; slot = (slot + 1) & mask) {
      const row = slot * rowWords;
      if (words[row + untilWord] === 0) return row;
      if (
        words[row] === from[at] &&
        words[row + 1] === from[at + 1] &&
        words[row + 2] === from[at + 2] &&
        words[row + 3] === from[at + 3]
      ) {
        return row;
      }
    }
  }

  /** Moves the rows that matter at `limit` or later into a table with `capacity` rows. */
  #rebuild(capacity: number, limit: number): void {
    const old = this.#words;
    this.#words = new Uint32Array(capacity * rowWords);
    this.#capacity = capacity;
    this.#earliest = Infinity;
    this.size = 0;
    for (let from = 0; from < old.length; from += rowWords) {
      const until = old[from + untilWord] ?? 0;
      if (until === 0 || until < limit) continue;
      const row = this.#rowOf(old, from, hashOf(old, from));
      for (let word = 0; word < rowWords; word++) this.#words[row + word] = old[from + word] ?? 0;
      this.#earliest = Math.min(this.#earliest, until);
      this.size++;
    }
  }
}

/** Hashes an id to 32 bits. Uses every word, because UUIDv7 starts with the time. */
function hashOf(words: Uint32Array, at: number): number {
  let hash = Math.imul(words[at + 2] ?? 0, 0x85eb_ca6b) ^ Math.imul(words[at + 1] ?? 0, 0xc2b2_ae35);
  hash ^= words[at + 3] ?? 0;
  hash = Math.imul(hash ^ (words[at] ?? 0) ^ (hash >>> 15), 0x2c1b_3c6d);
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a_2d39);
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** Reads a UUID, in upper or lower case, into four words. Returns false if the text is not a UUID. */
function readUuid(text: string, into: Uint32Array): boolean {
  if (text.length !== 36) return false;
  let word = 0;
  let digits = 0;
  for (let i = 0; i < 36; i++) {
    if (i === 8 || i === 13 || i === 18 || i === 23) {
      if (text[i] !== "-") return false;
      continue;
    }
    const digit = digitOf(text.charCodeAt(i));
    if (digit < 0) return false;
    word = (word << 4) | digit;
    if (++digits % 8 === 0) into[digits / 8 - 1] = word;
  }
  return true;
}

function digitOf(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
