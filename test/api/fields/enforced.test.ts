import { type DescMethod, type Message, fromJson } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { ConnectError } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { type Project, ProjectSchema } from "../../../gen/session/v1/project_pb.ts";
import { ProjectService } from "../../../gen/session/v1/project_service_pb.ts";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { violationsOf } from "../../support/fixtures/service-clients.ts";
import { must } from "../../support/fixtures/stored.ts";
import { ask } from "../authorization/calls.ts";
import { type Place, placesIn, setSample, settablePaths } from "./message-fields.ts";
import { type FullRequest, requests, service } from "./requests.ts";

const transport = createGrpcTransport({ baseUrl: service.url });
const methods: ReadonlyMap<string, DescMethod> = new Map(
  [SessionService, ProjectService].flatMap(({ methods }) => methods).map((method) => [method.name, method]),
);

/** Calls and returns the fields that the answer names as wrong; none if the call was accepted. */
async function refused(
  method: DescMethod,
  request: FullRequest,
  message: Message,
): Promise<readonly string[]> {
  const authorization = request.token === undefined ? service.basic : `Bearer ${await request.token()}`;
  const ending = new AbortController();
  try {
    await ask(transport, method, ending.signal, { authorization }, message);
    return [];
  } catch (error) {
    const named = Object.keys(await violationsOf(Promise.reject(ConnectError.from(error))));
    if (named.length === 0) throw error;
    return named;
  } finally {
    ending.abort();
  }
}

test.each([...methods])(
  "the requests of %s set every field that clients may set",
  async (name, { input }) => {
    const own = requests.filter(({ method }) => method === name);
    const messages = await Promise.all(
      own.map(async ({ message }) => reflect(input, fromJson(input, await message()))),
    );
    const set = messages.flatMap((message) =>
      [...placesIn(message)].filter(({ field, holder }) => holder.isSet(field)),
    );
    expect(new Set(set.map(({ path }) => path))).toEqual(new Set(settablePaths(input)));
  },
);

describe.each(await Promise.all(requests.map(withPlaces)))("$name", ({ request, method, places }) => {
  /** A new request, changed at one place. */
  async function changedAt(path: string, change: (place: Place) => void): Promise<Message> {
    const root = await newRequest();
    change(placeIn(root, path));
    return root.message;
  }

  async function newRequest() {
    return reflect(method.input, fromJson(method.input, await request.message()));
  }

  const wrongIn = (message: Message) => refused(method, request, message);
  const having = (behaviour: string) => places.filter(({ behaviours }) => behaviours.includes(behaviour));
  const without = (path: string) => changedAt(path, ({ field, holder }) => holder.clear(field));

  test("is accepted with every field", async () => {
    expect(await wrongIn((await newRequest()).message)).toEqual([]);
  });

  test("is accepted without its optional fields", async () => {
    const root = await newRequest();
    const { atLeastOneOf: [kept] = [] } = request;
    for (const { field, holder, behaviours, path } of placesIn(root)) {
      if (!behaviours.includes("REQUIRED") && field.oneof === undefined && path !== kept) holder.clear(field);
    }
    expect(await wrongIn(root.message)).toEqual([]);
  });

  test("is refused without a required field, which is named", async () => {
    for (const { path } of having("REQUIRED")) {
      expect(await wrongIn(await without(path)), path).toContain(path);
    }
  });

  test("is accepted without any one optional field", async () => {
    const isPaged = places.some(({ path }) => path === "page_token");
    for (const { path, field } of having("OPTIONAL")) {
      if (field.oneof !== undefined) continue;
      // The token of a page is bound to the filters.
      const bound = isPaged && !path.startsWith("page_") ? ["page_token"] : [];
      const root = await newRequest();
      for (const one of [path, ...bound, ...(request.needed?.[path] ?? [])]) {
        const place = placeIn(root, one);
        place.holder.clear(place.field);
      }
      expect(await wrongIn(root.message), path).toEqual([]);
    }
  });

  test("needs a member of a oneof, or none, as the table says", async () => {
    const { message } = await newRequest();
    const root = reflect(method.input, message);
    for (const { path, field } of places) {
      if (field.oneof === undefined || !root.isSet(field)) continue;
      const named = request.needsOneof === true ? [field.oneof.name] : [];
      expect(await wrongIn(await without(path))).toEqual(named);
    }
  });

  test("needs one of some optional fields only as the table says", async () => {
    const root = await newRequest();
    const { atLeastOneOf: group = [] } = request;
    for (const path of group.length > 0 ? [...group, "page_token"] : []) {
      root.clear(placeIn(root, path).field);
    }
    expect([...(await wrongIn(root.message)), undefined]).toContain(group[0]);
  });

  test("ignores what only the server sets", async () => {
    for (const { path, field } of having("OUTPUT_ONLY")) {
      const message = await changedAt(path, setSample);
      const stored = async () => reflect(ProjectSchema, await storedResource(request, method, message));
      const before = (await stored()).get(field);
      expect(await wrongIn(message), path).toEqual([]);
      expect((await stored()).get(field), path).toEqual(before);
    }
  });

  test("accepts an immutable field only as it is stored", async () => {
    for (const { path, field } of having("IMMUTABLE")) {
      const message = await changedAt(path, setSample);
      expect(await wrongIn(message), path).toEqual([path]);
      const stored = await storedResource(request, method, message);
      const { holder } = placeIn(reflect(method.input, message), path);
      holder.set(field, reflect(ProjectSchema, stored).get(field));
      expect(await wrongIn(message), path).toEqual([]);
    }
  });
});

async function withPlaces(request: FullRequest) {
  const method = must(methods.get(request.method));
  const root = reflect(method.input, fromJson(method.input, await request.message()));
  const places = [...placesIn(root)];
  const members = places.filter(({ field }) => field.oneof !== undefined && root.isSet(field));
  const name = [request.method, ...members.map(({ path }) => path)].join(" by ");
  return { name, request, method, places };
}

function placeIn(root: ReturnType<typeof reflect>, path: string): Place {
  return must([...placesIn(root)].find((place) => place.path === path));
}

/** The stored state of the resource in a request. */
async function storedResource(
  { resource }: FullRequest,
  { input }: DescMethod,
  message: Message,
): Promise<Project> {
  const { field, read } = must(resource);
  const { holder, field: id } = placeIn(reflect(input, message), `${field}.id`);
  return read(z.string().parse(holder.get(id)));
}
