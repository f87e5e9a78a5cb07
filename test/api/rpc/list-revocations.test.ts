import { Permission } from "../../../gen/session/v1/project_pb.ts";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Timestamp, timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { BadRequestSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { RevocationCause, RevocationScope } from "../../../gen/session/v1/revocation_pb.ts";
import { expect, test } from "vitest";
import { newLogin, reasonOf } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf, sessionsOf } from "../../support/fixtures/service-clients.ts";
import { must } from "../../support/fixtures/stored.ts";

const service = await runningService();
const foreign = await runningService({ databaseUrl: service.databaseUrl, projectId: "project-of-others" });
const sessions = sessionsOf(service);
type Filter = Parameters<typeof sessions.listRevocations>[0];

const listed = async (filter: Filter) => (await sessions.listRevocations(filter)).revocations;
const violationsOf = async (filter: Filter) => {
  const error: unknown = await sessions.listRevocations(filter).catch((error: unknown) => error);
  const shown = ConnectError.from(error);
  expect(shown.code).toBe(Code.InvalidArgument);
  return (shown.findDetails(BadRequestSchema)[0]?.fieldViolations ?? []).map(({ field }) => field);
};

test("shows operators, services and end users as actors, with target and reason", async () => {
  const login = await newLogin(service, { memberId: "ada" });
  const other = await newLogin(service, { memberId: "ada" });
  const { revision } = await sessions.revoke({
    target: { case: "id", value: login.id },
    cause: RevocationCause.COMPROMISE,
    reason: "phone stolen",
  });
  await sessionsOf(service, `Bearer ${other.token}`).revokeAll({
    scope: { case: "self", value: {} },
    exceptSessionId: other.id,
  });
  const [signing] = (await projectsOf(service).listSigningKeys({ projectId: service.projectId })).signingKeys;
  await projectsOf(service).revokeSigningKey({ projectId: service.projectId, kid: must(signing).kid });
  await sessionsOf(foreign).revokeAll({ scope: { case: "project", value: {} } });

  const [key, all, one, ...none] = await listed({});
  expect(none).toEqual([]);
  expect(key).toMatchObject({ scope: RevocationScope.SIGNING_KEY, targetId: must(signing).kid });
  expect(all).toMatchObject({
    scope: RevocationScope.MEMBER,
    targetId: "ada",
    exceptSessionId: other.id,
    actor: "member/ada",
    cause: RevocationCause.LOGOUT,
  });
  expect(one).toMatchObject({
    revision,
    scope: RevocationScope.SESSION,
    targetId: login.id,
    actor: expect.stringMatching(/^service\/[0-9a-f-]{36}$/),
    cause: RevocationCause.COMPROMISE,
    reason: "phone stolen",
  });

  expect(await listed({ actor: "member/ada" })).toEqual([all]);
  const [, credentialId = ""] = must(one).actor.split("/");
  expect(await listed({ actor: `service/${credentialId.toUpperCase()}` })).toEqual([key, one]);
  expect(await listed({ scope: RevocationScope.SESSION, targetId: login.id.toUpperCase() })).toEqual([one]);
  expect(await listed({ scope: RevocationScope.SIGNING_KEY })).toEqual([key]);
  const after = (time: Timestamp | undefined, ms: number) =>
    timestampFromDate(new Date(timestampDate(must(time)).getTime() + ms));
  expect(await listed({ endTime: must(must(one).revokeTime) })).toEqual([]);
  expect(await listed({ startTime: after(must(key).revokeTime, 1) })).toEqual([]);
  const around = { startTime: must(must(one).revokeTime), endTime: after(must(key).revokeTime, 1) };
  expect(await listed(around)).toEqual([key, all, one]);
});

test("answers for a member what ended their sessions, by whom and why", async () => {
  const memberId = "grace";
  const organizationId = "navy";
  const foreign = await newLogin(service, { organizationId });
  const [one, other] = [
    await newLogin(service, { memberId, organizationId }),
    await newLogin(service, { memberId }),
  ];
  await sessions.revoke({ target: { case: "id", value: foreign.id } });
  const { revision: byId } = await sessions.revoke({ target: { case: "id", value: one.id }, reason: "lost" });
  const scope = { case: "organizationId", value: organizationId } as const;
  await sessions.revokeAll({ scope }); // which ended no session of the member
  const { revision: byProject } = await sessions.revokeAll({ scope: { case: "project", value: {} } });
  const { revision: byMember } = await sessions.revoke({ target: { case: "memberId", value: memberId } });
  const all = await listed({ memberId });
  expect(all.map(({ revision }) => revision)).toEqual([byMember, byProject, byId]);
  expect(all.at(-1)).toMatchObject({ targetId: one.id, memberId, organizationId, reason: "lost" });
  expect((await sessions.get({ id: other.id })).session?.revokeRevision).toBe(byProject);
  expect(await listed({ memberId, scope: RevocationScope.PROJECT })).toMatchObject([{ revision: byProject }]);

  const first = await sessions.listRevocations({ memberId, pageSize: 2 });
  const { nextPageToken: pageToken } = first;
  const rest = await sessions.listRevocations({ memberId, pageSize: 2, pageToken });
  expect([...first.revocations, ...rest.revocations]).toEqual(all);
  expect(rest.nextPageToken).toBe("");
  expect(await violationsOf({ memberId: "ada", pageSize: 2, pageToken })).toEqual(["page_token"]);
  expect(await violationsOf({ memberId, actingUser: "ada", pageSize: 2, pageToken })).toEqual(["page_token"]);
});

test("pages over REST; a page token is valid only for its filters", async () => {
  for (let i = 0; i < 5; i++) await sessions.revokeAll({ scope: { case: "memberId", value: "paged" } });
  const get = async (query: Record<string, string>) => {
    const url = `${service.url}/session/v1/revocations?${new URLSearchParams(query).toString()}`;
    const response = await fetch(url, { headers: { authorization: service.basic } });
    return { status: response.status, json: (await response.json()) as Record<string, never> };
  };
  const filter = { scope: "REVOCATION_SCOPE_MEMBER", target_id: "paged", start_time: "2020-01-01T00:00:00Z" };
  const revisions: string[] = [];
  let token = "";
  do {
    const { json } = await get({ ...filter, page_size: "2", page_token: token });
    const page = json as unknown as {
      revocations: { revision: string; targetId: string }[];
      nextPageToken: string;
    };
    expect(page.revocations.every(({ targetId }) => targetId === "paged")).toBe(true);
    revisions.push(...page.revocations.map(({ revision }) => revision));
    if (page.nextPageToken === "") break;
    const other = { ...filter, page_token: page.nextPageToken };
    expect((await get({ ...other, target_id: "another" })).status).toBe(400);
    expect((await get({ ...other, start_time: "2020-01-01T00:00:01Z" })).status).toBe(400);
    token = page.nextPageToken;
  } while (token !== "");
  expect(revisions).toHaveLength(5);
  expect(revisions.map(Number)).toEqual(revisions.map(Number).toSorted((a, b) => b - a));
  expect((await get({ page_token: token })).status).toBe(400);
});

const sameTimes = { startTime: { seconds: 10n, nanos: 0 }, endTime: { seconds: 10n, nanos: 0 } };
const actors = ["service/ada", "service/", "member/", "member/\0", "operator/ada", "policy/"];
test.each<[fields: string, filter: Filter]>([
  [
    "end_time,actor,scope,target_id",
    { ...sameTimes, actor: "ada", scope: 99 as RevocationScope, targetId: "x" },
  ],
  ["start_time", { startTime: { seconds: 10n ** 15n, nanos: 0 } }],
  ...[...actors, `member/${"a".repeat(256)}`].map((actor): [string, Filter] => ["actor", { actor }]),
  ["acting_user", { actingUser: "a".repeat(256) }],
  ["acting_user", { actingUser: "a\nb" }],
  ["member_id", { memberId: "a".repeat(256) }],
  ["member_id", { memberId: "\0" }],
  ["target_id", { targetId: "ada" }],
  ["target_id", { scope: RevocationScope.SESSION, targetId: "ada" }],
  ["target_id", { scope: RevocationScope.MEMBER, targetId: "a".repeat(256) }],
  ["page_size", { pageSize: -1 }],
  ["page_token", { pageToken: "forged" }],
])("names invalid fields: %s", async (fields, filter) => {
  expect((await violationsOf(filter)).join()).toBe(fields);
});

test("requires sessions.read, and refuses end users", async () => {
  const { secret } = await projectsOf(service).createServiceCredential({
    projectId: service.projectId,
    displayName: "revokes only",
    permissions: [Permission.SESSIONS_REVOKE, Permission.SESSIONS_REVOKE_ALL],
  });
  const blind = `Basic ${Buffer.from(`${service.projectId}:${secret}`).toString("base64")}`;
  const refused = (authorization: string) =>
    sessionsOf(service, authorization).listRevocations({}).catch(reasonOf);
  expect(await refused(blind)).toBe("PERMISSION_MISSING");
  const { token } = await newLogin(service);
  expect(await refused(`Bearer ${token}`)).toBe("CALLER_NOT_ALLOWED");
});

test("watchers receive neither actor nor reason", async () => {
  await sessions.revoke({ target: { case: "memberId", value: "watched" }, reason: "private" });
  const stop = new AbortController();
  const stream = sessions.watchRevocations({ start: { case: "oldest", value: {} } }, { signal: stop.signal });
  for await (const { revocations } of stream) {
    expect(revocations.at(-1)).toMatchObject({ targetId: "watched", actor: "", reason: "" });
    break;
  }
  stop.abort();
});
