import * as fc from "fast-check";
import { expect, test } from "vitest";
import { stytchFactors } from "../../../src/jwt/stytch-factors.ts";
import { otherFactors, stytchKinds, stytchModel } from "../../support/fixtures/stytch-factors.ts";

const authenticateTime = new Date("2026-03-01T12:00:00Z");
const shownOf = (factor: { readonly method: string; readonly deliveryMethod: string }) =>
  stytchFactors([{ ...factor, authenticateTime }]);

test.each(stytchKinds)(
  "$method by $deliveryMethod is shown as $shown",
  ({ shown: [type, delivery], ...factor }) => {
    expect(shownOf(factor)).toEqual([
      { type, delivery_method: delivery, last_authenticated_at: "2026-03-01T12:00:00.000Z" },
    ]);
  },
);

test.each(otherFactors)("$method by $deliveryMethod is left out", (factor) => {
  expect(shownOf(factor)).toEqual([]);
});

test("every value of the typed models can be stated, and no other is (property)", () => {
  const stated = stytchKinds.flatMap(shownOf);
  expect(new Set(stated.map(({ type }) => type))).toEqual(new Set(stytchModel.types));
  expect(new Set(stated.map((factor) => factor.delivery_method))).toEqual(
    new Set(stytchModel.deliveryMethods),
  );
  const word = fc.oneof(fc.string(), fc.constantFrom(...stytchModel.types, ...stytchModel.deliveryMethods));
  const isDocumented = (method: string, deliveryMethod: string) =>
    shownOf({ method, deliveryMethod }).every(
      (factor) =>
        stytchModel.types.some((type) => type === factor.type) &&
        stytchModel.deliveryMethods.some((delivery) => delivery === factor.delivery_method),
    );
  expect(fc.check(fc.property(word, word, isDocumented)).counterexample).toBeNull();
});
