import { expect, test } from "vitest";
import { runningService } from "../../support/fixtures/running-service.ts";

const service = await runningService();
const listPath = "/session.v1.SessionService/List";
const memberA = Buffer.from('{"memberId": "a"}').toString("base64");

test.each([
  ["of JSON", `encoding=json&message=${encodeURIComponent('{"memberId": "a"}')}`, 200],
  ["of JSON with blanks as +", 'encoding=json&message={"memberId":+"a"}', 200],
  ["with bytes that are not UTF-8", 'encoding=json&message={"memberId":"a%ffb"}', 400],
  ["with half a surrogate pair", 'encoding=json&message={"memberId":"a%ed%a0%bdb"}', 400],
  ["with a malformed escape", 'encoding=json&message={"memberId":"a%zz"}', 400],
  ["in binary", "encoding=proto&message=%0a%01a", 200],
  ["in binary, with a text that is not UTF-8", "encoding=proto&message=%0a%01%ff", 400],
  ["in base64", `encoding=json&base64=1&message=${encodeURIComponent(memberA)}`, 200],
  ["in base64 without padding", `encoding=json&base64=1&message=${memberA.replace(/=+$/, "")}`, 200],
  [
    "in base64 with other characters",
    `encoding=json&base64=1&message=${memberA.slice(0, 4)}.${memberA.slice(4)}`,
    400,
  ],
  ["in base64 with too much padding", `encoding=json&base64=1&message=${memberA}%3D`, 400],
])("a message %s in a query of Connect", async (_name, query, status) => {
  const response = await fetch(`${service.url}${listPath}?connect=v1&${query}`, {
    headers: { authorization: service.basic },
  });
  expect(response.status).toBe(status);
});
