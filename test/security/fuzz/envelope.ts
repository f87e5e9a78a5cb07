import fc from "fast-check";
import { envelope } from "../../support/fixtures/http2-bytes.ts";
import { weighted } from "./texts.ts";

export interface EnvelopeFault {
  readonly flags: number;
  /** Difference of the declared length to the real one. */
  readonly longer: number;
  readonly times: number;
}

export const anyEnvelopeFault: fc.Arbitrary<EnvelopeFault> = weighted(
  [8, fc.constant({ flags: 0, longer: 0, times: 1 })],
  [
    1,
    fc.record({
      flags: fc.constantFrom(0, 1, 2, 0x80, 0xff),
      longer: fc.constantFrom(0, 1, -1, 1000, 2 ** 31),
      times: fc.constantFrom(0, 1, 2, 50),
    }),
  ],
);

/** The message in `times` envelopes. */
export function enveloped(
  message: Buffer,
  isCompressed: boolean,
  { flags, longer, times }: EnvelopeFault,
): Buffer {
  const declared = Math.max(0, message.length + longer);
  const one = envelope(message, flags | (isCompressed ? 1 : 0), declared);
  return Buffer.concat(Array.from({ length: times }, () => one));
}
