import fc from "fast-check";

/** What is wrong with the five bytes before a message. */
export interface FrameFault {
  readonly flags: number;
  readonly longer: number;
  readonly times: number;
}

/** Mostly nothing. */
export const anyFrameFault: fc.Arbitrary<FrameFault> = fc.oneof(
  { weight: 8, arbitrary: fc.constant({ flags: 0, longer: 0, times: 1 }) },
  {
    weight: 1,
    arbitrary: fc.record({
      flags: fc.constantFrom(0, 1, 2, 0x80, 0xff),
      longer: fc.constantFrom(0, 1, -1, 1000, 2 ** 31),
      times: fc.constantFrom(0, 1, 2, 50),
    }),
  },
);

/** Messages with the five bytes before them that gRPC has. */
export function enveloped(
  message: Buffer,
  isCompressed: boolean,
  { flags, longer, times }: FrameFault,
): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags | (isCompressed ? 1 : 0));
  head.writeUInt32BE(Math.max(0, message.length + longer), 1);
  return Buffer.concat(Array.from({ length: times }, () => Buffer.concat([head, message])));
}
