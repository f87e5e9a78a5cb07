import * as ory from "@ory/client";
import * as kratos from "@ory/kratos-client";
import { describe, expect, test } from "vitest";
import { newLogin, twoLogins, verdictOn } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";

const service = await runningService();
const basePath = `${service.url}/auth`;

const clients = [
  { name: "@ory/client", api: new ory.FrontendApi(new ory.Configuration({ basePath })) },
  { name: "@ory/kratos-client", api: new kratos.FrontendApi(new kratos.Configuration({ basePath })) },
];

describe.each(clients)("$name", ({ api }) => {
  /** Status and body of the answer, also of one that the SDK throws. */
  async function disable(id: string, xSessionToken?: string, cookie?: string) {
    const { status, data } = await api.disableMySession(
      { id, ...(xSessionToken && { xSessionToken }), ...(cookie && { cookie }) },
      { validateStatus: () => true, proxy: false },
    );
    return { status, data: data as unknown };
  }

  test("disables another session, by X-Session-Token and by cookie", async () => {
    const { mine, other } = await twoLogins(service);
    const third = await newLogin(service, { memberId: mine.memberId });
    expect(await disable(other.id, mine.token)).toEqual({ status: 204, data: "" });
    expect(await disable(third.id, undefined, `ory_kratos_session=${mine.token}`)).toEqual({
      status: 204,
      data: "",
    });
    expect(await verdictOn(service, other)).toBe("SESSION_REVOKED");
    expect(await verdictOn(service, third)).toBe("SESSION_REVOKED");
    expect(await verdictOn(service, mine)).toBe("active");
  });

  test("errors in Kratos's envelope", async () => {
    const mine = await newLogin(service);
    expect(await disable(mine.id, mine.token)).toEqual({
      status: 400,
      data: { error: { code: 400, status: "Bad Request", message: "cannot revoke current session" } },
    });
    expect(await disable(mine.id)).toEqual({
      status: 401,
      data: {
        error: {
          code: 401,
          status: "Unauthorized",
          reason: "No valid session cookie found.",
          message: "The request could not be authorized",
        },
      },
    });
    expect(await disable("a/b", mine.token)).toMatchObject({ status: 400, data: { error: { code: 400 } } });
    await expect(api.disableMySession({ id: mine.id }, { proxy: false })).rejects.toMatchObject({
      response: { status: 401, data: { error: { code: 401 } } },
    });
  });
});
