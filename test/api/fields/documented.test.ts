import { type DescMethod, getOption } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { http } from "../../../gen/google/api/annotations_pb.ts";
import { assembled } from "../../support/fixtures/assembled.ts";
import { newLogin } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf } from "../../support/fixtures/service-clients.ts";
import { behavioursOf, settablePaths } from "./message-fields.ts";

const service = await runningService();
await projectsOf(service).getJwks({ projectId: service.projectId });

type Fields = Readonly<Record<string, string>>;

/** A request of a documented API: fields of which exactly one is given, or all of which the path needs. */
interface Documented {
  readonly fields: Fields;
  readonly authorization: string;
}

const asService = (fields: Fields): Documented => ({ fields, authorization: service.basic });

/** Two sessions of a member, and what they are known by. */
async function logins() {
  const mine = await newLogin(service);
  return { mine, other: await newLogin(service, { memberId: mine.memberId }) };
}

const requests: Readonly<Record<string, () => Promise<Documented>>> = {
  "compat.flashback.v1.SessionService.Revoke": byEndUser,
  "compat.flashback.v1.SessionService.RevokeAll": async () => ({ ...(await byEndUser()), fields: {} }),
  "compat.kratos.v1.SessionService.DisableMySession": byEndUser,
  "compat.stytch.v1.SessionService.Revoke": async () => {
    const { mine } = await logins();
    return asService({ session_id: mine.id, session_token: mine.token, session_jwt: mine.jwt });
  },
  "compat.stytch.v1.SessionService.GetJwks": async () => asService({ project_id: service.projectId }),
  "compat.stytch_b2b.v1.SessionService.Revoke": async () => {
    const { mine } = await logins();
    const { id, token, jwt, memberId } = mine;
    const fields = { member_session_id: id, session_token: token, session_jwt: jwt, member_id: memberId };
    return asService(fields);
  },
  "compat.stytch_b2b.v1.SessionService.GetJwks": async () => asService({ project_id: service.projectId }),
};

async function byEndUser(): Promise<Documented> {
  const { mine, other } = await logins();
  return { fields: { id: other.id }, authorization: `Bearer ${mine.token}` };
}

const methods = [...assembled().access.entries()]
  .map(([method]) => method)
  .filter(({ parent }) => parent.typeName.startsWith("compat."))
  .map((method) => [`${method.parent.typeName}.${method.name}`, method] as const);

/** Calls by the method's path, with the other fields in the body. An absent field of the path leaves an empty segment. */
async function call(method: DescMethod, { fields, authorization }: Documented) {
  const { pattern, body } = getOption(method, http);
  if (pattern.case === undefined || pattern.case === "custom") throw new Error("a rule has no path");
  const path = pattern.value.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(fields[name] ?? ""),
  );
  const answer = await fetch(service.url + path, {
    method: pattern.case.toUpperCase(),
    headers: { authorization, ...(body === "*" && { "content-type": "application/json" }) },
    ...(body === "*" && { body: JSON.stringify(fields) }),
  });
  return { status: answer.status, text: await answer.text(), path: pattern.value };
}

describe.each(methods)("%s", (name, method) => {
  const request = requests[name] ?? (() => expect.fail("the method has no request here"));
  const having = (behaviour: string) =>
    method.input.fields.filter((field) => behavioursOf(field).includes(behaviour));

  test("has a request with every field", async () => {
    expect(Object.keys((await request()).fields)).toEqual(settablePaths(method.input));
  });

  test("takes its required fields from the path, and answers in its own form without one", async () => {
    const full = await request();
    for (const { name: field } of having("REQUIRED")) {
      expect((await call(method, await request())).status).toBeLessThan(300);
      const { [field]: _, ...fields } = full.fields;
      const refused = await call(method, { ...full, fields });
      expect(refused.path).toContain(`{${field}}`);
      expect([400, 404]).toContain(refused.status);
      expect(JSON.parse(refused.text)).not.toHaveProperty("details");
    }
  });

  test("needs exactly one of its optional fields, whichever", async () => {
    const optional = having("OPTIONAL").map((field) => field.name);
    if (optional.length === 0) return;
    for (const field of optional) {
      const full = await request();
      const only = { ...full, fields: { [field]: full.fields[field] ?? "" } };
      expect(await call(method, only), field).toMatchObject({ status: 200 });
    }
    const full = await request();
    for (const fields of [{}, full.fields]) {
      const refused = await call(method, { ...full, fields });
      expect(refused.status).toBe(400);
      expect(JSON.parse(refused.text)).toMatchObject({ status_code: 400, error_type: expect.any(String) });
    }
  });
});
