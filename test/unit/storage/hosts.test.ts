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

test("a generation ends once, however many of its connections find the host dead", () => {
  const hosts = new Hosts("postgres://a/d");
  const generation = hosts.connected("postgres://a/d", hosts.generation);
  hosts.invalidate(generation);
  hosts.invalidate(generation);
  expect(hosts.generation).toBe(generation + 1);
  hosts.invalidate();
  expect(hosts.generation).toBe(generation + 2);
});

test("a connection to another host than before starts a generation, unless its own has ended", () => {
  const hosts = new Hosts("postgres://a,b/d");
  const first = hosts.connected("postgres://a/d", hosts.generation);
  expect(hosts.connected("postgres://a/d", first)).toBe(first);
  const second = hosts.connected("postgres://b/d", first);
  expect(second).not.toBe(first);
  expect(hosts.generation).toBe(second);
  // It began before the other one was there.
  expect(hosts.connected("postgres://a/d", first)).toBe(first);
  expect(hosts.generation).toBe(second);
});

test("ends the connections that wait for another host when it moves", () => {
  const hosts = new Hosts("postgres://a,b/d");
  const abandoned: string[] = [];
  const connection = (name: string) => ({ abandon: () => void abandoned.push(name) });
  const idle = connection("idle");
  hosts.began(connection("waiting"));
  hosts.began(idle);
  hosts.ended(idle);
  hosts.moveTo("postgres://b/d");
  expect(abandoned).toEqual(["waiting"]);
});

test("moves to a named host, and refuses one that is not of the database", () => {
  const hosts = new Hosts("postgres://a,b/d");
  const generation = hosts.connected("postgres://a/d", hosts.generation);
  hosts.moveTo("postgres://b/d");
  expect(hosts.current).toBe("postgres://b/d");
  expect(hosts.generation).not.toBe(generation);
  expect(hosts.connected("postgres://b/d", hosts.generation)).toBe(hosts.generation);
  expect(() => hosts.moveTo("postgres://c/d")).toThrow("not one of");
});
