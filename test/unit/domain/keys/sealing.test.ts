import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { masterKeyOf, open, seal } from "../../../../src/domain/keys/sealing.ts";

const masterKey = masterKeyOf(randomBytes(32));
/** As node:crypto says it. */
const refusal = /unable to authenticate|initialization vector|authentication tag/i;
const plain = Buffer.from("a private key");

test("opens sealed bytes", () => {
  for (const bytes of [plain, Buffer.alloc(0), randomBytes(5000)]) {
    expect(open(masterKey, seal(masterKey, bytes, "context"), "context")).toEqual(bytes);
  }
});

test("seals the same bytes differently each time, without the plain text", () => {
  const [one, two] = [seal(masterKey, plain, "context"), seal(masterKey, plain, "context")];
  expect(one.equals(two)).toBe(false);
  expect(one.includes(plain)).toBe(false);
});

test("does not open with another key or in another context", () => {
  const sealed = seal(masterKey, plain, "context");
  expect(() => open(masterKeyOf(randomBytes(32)), sealed, "context")).toThrow(refusal);
  expect(() => open(masterKey, sealed, "other")).toThrow(refusal);
});

test("does not open bytes that were shortened, lengthened or changed", () => {
  const sealed = seal(masterKey, plain, "context");
  for (let length = 0; length < sealed.length; length++) {
    expect(() => open(masterKey, sealed.subarray(0, length), "context"), `${length} bytes`).toThrow(refusal);
  }
  expect(() => open(masterKey, Buffer.concat([sealed, Buffer.alloc(1)]), "context")).toThrow(refusal);
  for (let place = 0; place < sealed.length; place++) {
    const changed = Buffer.from(sealed);
    changed.writeUInt8(changed.readUInt8(place) ^ 1, place);
    expect(() => open(masterKey, changed, "context"), `byte ${place}`).toThrow(refusal);
  }
});

test("a master key has 32 bytes and an id that is derived from them and does not reveal them", () => {
  for (const length of [0, 16, 31, 33]) expect(() => masterKeyOf(Buffer.alloc(length))).toThrow(RangeError);
  const bytes = randomBytes(32);
  expect(masterKeyOf(bytes).id).toBe(masterKeyOf(Buffer.from(bytes)).id);
  expect(masterKeyOf(bytes).id).not.toBe(masterKey.id);
  expect(bytes.toString("hex")).not.toContain(masterKeyOf(bytes).id);
});
