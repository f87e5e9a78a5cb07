import { describe, expect, test } from "vitest";
import { runCommand } from "../../support/process/command.ts";
import { newLogin, twoLogins, verdictOn } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";

// The curl samples of the documented pages, as they stand there except for the address and the placeholders, and the requests of the
// other samples.
const service = await runningService();

/** Runs a sample in a shell, and answers with what it printed. */
async function shell(sample: string): Promise<string> {
  const environment = { ...process.env, no_proxy: "*" };
  const { status, stdout, stderr } = await runCommand("bash", ["-c", sample], { environment });
  expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}

describe("Flashback", () => {
  const revoke = `
# You can also use wget
curl -X POST https://backend.flashback.tech/sessions/{id}/revoke \\
-H 'Accept: application/json' \\
-H 'Authorization: Bearer {access-token}'`;
  const revokeAll = `
# You can also use wget
curl -X POST https://backend.flashback.tech/sessions/revoke-all \\
  -H 'Accept: application/json' \\
  -H 'Authorization: Bearer {access-token}'`;
  const withOwn = (sample: string, token: string) =>
    sample.replace("https://backend.flashback.tech", service.url).replace("{access-token}", token);

  test("Revoke Session", async () => {
    const { mine, other } = await twoLogins(service);
    const printed = await shell(withOwn(revoke, mine.token).replace("{id}", other.id));
    expect(JSON.parse(printed)).toEqual({ success: true, message: "Session revoked successfully" });
    expect(await verdictOn(service, other)).toBe("SESSION_REVOKED");
    const again = await shell(withOwn(revoke, mine.token).replace("{id}", "session-id"));
    expect(JSON.parse(again)).toEqual({ success: false, error: "Session not found" });
  });

  test("Revoke All Sessions", async () => {
    const { mine, other } = await twoLogins(service);
    const printed = await shell(withOwn(revokeAll, mine.jwt));
    expect(JSON.parse(printed)).toEqual({ success: true, message: "All sessions revoked successfully" });
    for (const login of [mine, other]) {
      expect(await verdictOn(service, login)).toBe("SESSION_REVOKED_BY_CUTOFF");
    }
  });

  const one = "Session revoked successfully";
  const all = "All sessions revoked successfully";
  const php = { headers: { "Content-Type": "application/json" }, body: "[]" };
  const wget = { headers: { Accept: "*/*", "Content-Length": "0" } };
  type Sent = { readonly headers?: Readonly<Record<string, string>>; readonly body?: string };
  test.each<[string, path: string, message: string, request: Sent]>([
    ["Revoke Session, as wget sends it", "{id}/revoke", one, wget],
    ["Revoke All Sessions, the JavaScript sample", "revoke-all", all, {}],
    ["Revoke All Sessions, the PHP sample, which sends an empty array", "revoke-all", all, php],
  ])("%s", async (_name, path, message, request) => {
    const { id, token } = await newLogin(service);
    const headers = { Accept: "application/json", Authorization: `Bearer ${token}`, ...request.headers };
    const url = `${service.url}/sessions/${path.replace("{id}", id)}`;
    const response = await fetch(url, { ...request, method: "POST", headers });
    expect([response.status, await response.json()]).toEqual([200, { success: true, message }]);
  });
});

describe("Kratos", () => {
  const sample = `curl -L -X DELETE 'https://accounts.<domain>/auth/sessions/:id'`;
  const withOwn = (id: string) => sample.replace("https://accounts.<domain>", service.url).replace(":id", id);

  test.each(["X-Session-Token: ", "Cookie: ory_kratos_session="])("the sample with %s", async (header) => {
    const { mine, other } = await twoLogins(service);
    expect(await shell(`${withOwn(other.id)} -H '${header}${mine.token}'`)).toBe("");
    expect(await verdictOn(service, other)).toBe("SESSION_REVOKED");
  });
});
