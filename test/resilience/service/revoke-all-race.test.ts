import { expect, test } from "vitest";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { errorInfoOf } from "../../../src/client/error-info.ts";
import { grpcJsCalls } from "../../support/process/grpc-js.ts";
import { runningService } from "../../support/fixtures/running-service.ts";

const first = await runningService();
const second = await runningService({ databaseUrl: first.databaseUrl });
const headers = { authorization: first.basic };
const replicas = [grpcJsCalls(SessionService, first), grpcJsCalls(SessionService, second)];

/** Start and return of a call, by one counter for all calls. */
interface Span {
  readonly began: number;
  readonly returned: number;
}
interface Create extends Span {
  readonly token: string;
  readonly member: number;
}
interface Authentication extends Span {
  readonly token: string;
  readonly verdict: string;
}
interface RevokeAll extends Span {
  /** Undefined for the whole project. */
  readonly member: number | undefined;
}

let count = 0;
const creates: Create[] = [];
const authentications: Authentication[] = [];
const revocations: RevokeAll[] = [];

const memberCount = 4;
const memberId = (member: number) => `member-${member}`;
const any = (length: number) => Math.floor(Math.random() * length);

function replica() {
  const chosen = replicas[any(replicas.length)];
  if (chosen === undefined) throw new Error("unreachable");
  return chosen;
}

async function create(): Promise<void> {
  const member = any(memberCount);
  const began = ++count;
  const { token } = await replica().create({ memberId: memberId(member) }, headers);
  creates.push({ began, returned: ++count, token, member });
}

async function authenticate(): Promise<void> {
  // Mostly recent sessions: old ones are dead.
  const { token } = creates[Math.max(0, creates.length - 1 - any(12))] ?? {};
  if (token === undefined) return create();
  const began = ++count;
  const verdict = await replica()
    .authenticate({ credential: { case: "token", value: token } }, headers)
    .then(
      () => "active",
      (error: unknown) => errorInfoOf(error)?.reason ?? String(error),
    );
  authentications.push({ began, returned: ++count, token, verdict });
}

async function revokeAll(): Promise<void> {
  const member = any(4) === 0 ? undefined : any(memberCount);
  const scope =
    member === undefined
      ? ({ case: "project", value: true } as const)
      : ({ case: "memberId", value: memberId(member) } as const);
  const began = ++count;
  await replica().revokeAll({ scope }, headers);
  revocations.push({ began, returned: ++count, member });
}

/** Makes calls in sequence. */
async function caller(calls: number): Promise<void> {
  for (let i = 0; i < calls; i++) {
    const choice = any(20);
    await (choice === 0 ? revokeAll() : choice < 7 ? create() : authenticate());
  }
}

/** The calls take seconds on an idle machine. */
const timeout = 120_000;

test(
  "no session outlives a returned revoke-all, with concurrent calls on two replicas",
  { timeout },
  async () => {
    await Promise.all(Array.from({ length: 24 }, () => caller(60)));
    expect(revocations.length).toBeGreaterThan(20);
    expect(authentications.some(({ verdict }) => verdict === "active")).toBe(true);
    expect(new Set(authentications.map(({ verdict }) => verdict))).toEqual(
      new Set(["active", "SESSION_REVOKED_BY_CUTOFF"]),
    );

    const outlived: unknown[] = [];
    const returned = new Map(creates.map((made) => [made.token, made]));
    const firstRefused = new Map<string, number>();
    for (const { token, verdict, returned: at } of authentications) {
      if (verdict !== "active") firstRefused.set(token, Math.min(at, firstRefused.get(token) ?? Infinity));
    }
    for (const seen of authentications) {
      const made = returned.get(seen.token);
      if (seen.verdict !== "active" || made === undefined) continue;
      const end = revocations.find(
        ({ member, began, returned: over }) =>
          (member ?? made.member) === made.member && made.returned < began && over < seen.began,
      );
      if (end !== undefined) outlived.push({ made, end, seen });
      // No session becomes active again.
      if ((firstRefused.get(seen.token) ?? Infinity) < seen.began) outlived.push({ made, seen, back: true });
    }
    expect(outlived).toEqual([]);

    // A refusal needs a revoke-all that started before it and returned after the creation started.
    const wronged = authentications.filter(({ token, verdict, returned: at }) => {
      const made = returned.get(token);
      if (verdict === "active" || made === undefined) return false;
      return !revocations.some(
        ({ member, began, returned: over }) =>
          (member ?? made.member) === made.member && began < at && over > made.began,
      );
    });
    expect(wronged).toEqual([]);
  },
);
