import { expect, test } from "vitest";
import { Hosts, urlsOf } from "../../../src/storage/connection/hosts.ts";

test.each([
  ["postgres://h/db", ["postgres://h/db"]],
  [
    "postgres://u:p@one:1,two:2/db?sslmode=x",
    ["postgres://u:p@one:1/db?sslmode=x", "postgres://u:p@two:2/db?sslmode=x"],
  ],
  ["postgresql://u:p%2C%40@[::1]:1,two", ["postgresql://u:p%2C%40@[::1]:1", "postgresql://u:p%2C%40@two"]],
  ["postgres://u:a,b@one,two/", ["postgres://u:a,b@one/", "postgres://u:a,b@two/"]],
  ["postgres:///db?host=/run", ["postgres:///db?host=/run"]],
])("reads the hosts of %s", (url, urls) => {
  expect(urlsOf(url)).toEqual(urls);
});

test("moves to the next host only if the current one is left", () => {
  const hosts = new Hosts("postgres://a,b,c/d");
  const { current } = hosts;
  hosts.leave(current);
  expect(hosts.current).toBe("postgres://b/d");
  hosts.leave(current); // by another connection that found out later
  expect(hosts.current).toBe("postgres://b/d");
  hosts.leave("postgres://b/d");
  hosts.leave("postgres://c/d");
  expect(hosts.current).toBe("postgres://a/d");
});
