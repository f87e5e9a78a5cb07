import { expect, test } from "vitest";
import { newLogin, reasonOf } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { sessionsOf } from "../../support/fixtures/service-clients.ts";

const service = await runningService();

test.each(["get", "revoke"] as const)(
  "an end user who asks for another member's session (%s) causes no ERROR and no stack in the log",
  async (method) => {
    const [user, other] = [await newLogin(service), await newLogin(service)];
    const sessions = sessionsOf(service, `Bearer ${user.token}`);
    const before = service.log.length;
    const call = {
      get: () => sessions.get({ id: other.id }),
      revoke: () => sessions.revoke({ target: { case: "id", value: other.id } }),
    }[method];
    expect(await call().catch(reasonOf)).toBe("SESSION_NOT_FOUND");
    await expect.poll(() => service.log.slice(before)).toMatchObject([{ reason: "SESSION_NOT_FOUND" }]);
    const [line] = service.log.slice(before);
    expect(Number(line?.["level"])).toBeLessThan(50);
    expect(line).not.toHaveProperty("fault");
    expect((await sessionsOf(service).get({ id: other.id })).session?.id).toBe(other.id);
  },
);
