import { expect, test } from "vitest";
import { parseCertificateName, parseDnsName, parseSpiffeId } from "../../../src/domain/certificate-name.ts";

test.each([
  "spiffe://prod.example/ns/shop/sa/orders",
  "spiffe://prod_1.example/A.b-c_d",
  "spiffe://a.example/..b/.c/...",
  `spiffe://a/${"b".repeat(2048 - 11)}`,
  "orders.shop.svc.cluster.local",
  "orders",
  "1orders.2.example",
  `${"a".repeat(63)}.example`,
])("%s is a name", (text) => {
  expect(parseCertificateName(text)).toBe(text);
});

test.each([
  "",
  "spiffe://prod.example",
  "spiffe://prod.example/",
  "spiffe://prod.example/a/",
  "spiffe://prod.example//a",
  "spiffe://prod.example/a/../b",
  "spiffe://prod.example/./b",
  "spiffe://prod.example/..",
  "spiffe://Prod.example/a",
  "SPIFFE://prod.example/a",
  "spiffe://prod.example:1/a",
  "spiffe://user@prod.example/a",
  "spiffe://prod.example/a?b",
  "spiffe://prod.example/a#b",
  "spiffe://prod.example/a%62",
  "spiffe:///a",
  `spiffe://a/${"b".repeat(2048 - 10)}`,
  `spiffe://${"a".repeat(256)}/b`,
  "https://prod.example/a",
  "Orders.example",
  "*.example",
  "orders_1.example",
  "-orders.example",
  "orders-.example",
  "orders..example",
  "orders.example.",
  "10.0.0.1",
  "::1",
  `${"a".repeat(64)}.example`,
  `${"a.".repeat(127)}a`,
  "orders.example\n",
  "ördersexample",
])("rejects %j", (text) => {
  expect(parseCertificateName(text)).toBeUndefined();
});

test("rejects the name of one kind in an entry of the other", () => {
  expect(parseDnsName("spiffe://prod.example/a")).toBeUndefined();
  expect(parseSpiffeId("orders.example")).toBeUndefined();
});
