import type { Named, Past, Stage, Tenant } from "./stage.ts";
import type { Certified } from "../../support/process/certificates.ts";
import type { Permission } from "../../../src/domain/project.ts";

/** Owners of a target, as seen by the caller. A service owns its whole project. */
export const targetKinds = [
  "own", // of the member who calls
  "colleague's", // of another member of the caller's organization
  "stranger's", // of a member of another organization
  "foreign", // of another project, where member and organization have the caller's ids
  "unknown",
  "unknown abroad", // of another project, as far as its form tells
  "misplaced", // of another project, called by the id of one's own
] as const;
/** One of {@link targetKinds}. */
export type TargetKind = (typeof targetKinds)[number];

/** Objects that a request can name. */
export interface Target {
  readonly project: string;
  /** Project of a credential or a signing key in requests. */
  readonly projectOfPart: string;
  readonly member: string;
  readonly organization: string;
  session(): Promise<Named>;
  credential(): Promise<string>;
  signingKey(): Promise<string>;
}

type Owner = Pick<Target, "member" | "organization">;

/** Two projects, with the objects that all their worlds share. */
interface Projects {
  readonly stage: Stage;
  readonly past: Past;
  /** The caller's project. */
  readonly home: Tenant;
  readonly abroad: Tenant;
  readonly made: Map<string, Promise<unknown>>;
}

/** Callers and targets, created on first use. Worlds share no session. */
export class World implements Omit<Projects, "made"> {
  readonly stage: Stage;
  readonly past: Past;
  readonly home: Tenant;
  readonly abroad: Tenant;
  readonly #projects: Projects;
  readonly #number: number;
  readonly #made = new Map<string, Promise<unknown>>();
  readonly #areDead: boolean;

  private constructor(projects: Projects, areDead = false) {
    this.#projects = projects;
    ({ stage: this.stage, past: this.past, home: this.home, abroad: this.abroad } = projects);
    this.#areDead = areDead;
    this.#number = this.stage.next();
  }

  static async create(stage: Stage, past: Past): Promise<World> {
    const [home, abroad] = [await stage.newTenant(), await stage.newTenant()];
    return new World({ stage, past, home, abroad, made: new Map() });
  }

  /** A world with other members in the same projects. */
  withOtherMembers(): World {
    return new World(this.#projects, this.#areDead);
  }

  /** The same, but all sessions except the caller's are revoked. */
  withDeadMembers(): World {
    return new World(this.#projects, true);
  }

  withOtherProjects(): Promise<World> {
    return World.create(this.stage, this.past);
  }

  /** The caller's session. */
  caller(roles: string[] = []): Promise<Named> {
    return this.#once(`caller ${roles.join()}`, () => this.#session(this.home, this.#target("own"), roles));
  }

  revokedCaller(): Promise<Named> {
    return this.#once("revoked caller", async () => {
      const session = await this.#session(this.home, this.#target("own"));
      await this.#revoke(session, this.home);
      return session;
    });
  }

  /** A service of the caller's project with only this permission. */
  service(permission: Permission): Promise<string> {
    return once(this.#projects.made, permission, async () => {
      const { secret } = await this.stage.newCredential(this.home.id, [permission]);
      return secret;
    });
  }

  certificate(): Promise<Certified> {
    return once(this.#projects.made, "certificate", () => this.stage.newCertificate(this.home.id));
  }

  disabledService(): Promise<string> {
    return once(this.#projects.made, "disabled", async () => {
      const { id, secret } = await this.stage.newCredential(this.home.id, ["sessions.revoke"]);
      await this.stage.admin.projects.disableServiceCredential({ projectId: this.home.id, id });
      return secret;
    });
  }

  /** A disabled project and a session that was created before. */
  disabledProject(): Promise<{ tenant: Tenant; session: Named }> {
    return once(this.#projects.made, "disabled project", async () => {
      const tenant = await this.stage.newTenant();
      const session = await this.stage.newSession(tenant, { memberId: "stranded" });
      await this.stage.admin.projects.disableProject({ id: tenant.id });
      return { tenant, session };
    });
  }

  target(kind: TargetKind): Target {
    const { stage } = this;
    const names = this.#target(kind);
    const tenant = ["foreign", "misplaced", "unknown abroad"].includes(kind) ? this.abroad : this.home;
    const isUnknown = kind.startsWith("unknown");
    return {
      ...names,
      session: () =>
        this.#once(`session ${kind}`, async () => {
          const session = await this.#session(tenant, names);
          if (isUnknown) await stage.forget(session);
          else if (this.#areDead && kind !== "own") await this.#revoke(session, tenant);
          return session;
        }),
      credential: () =>
        this.#once(`credential ${kind}`, async () =>
          isUnknown ? neverMade : (await stage.newCredential(tenant.id, ["sessions.read"])).id,
        ),
      signingKey: () =>
        this.#once(`signing key ${kind}`, async () => {
          if (isUnknown) return "unknown-key";
          const { keys } = await stage.admin.projects.getJwks({ projectId: tenant.id });
          return keys[0]?.kid ?? "";
        }),
    };
  }

  /** The sessions that calls have named so far, except unknown ones. */
  async targets(): Promise<readonly { kind: TargetKind; session: Named; tenant: Tenant }[]> {
    const kinds = targetKinds.filter(
      (kind) => !kind.startsWith("unknown") && this.#made.has(`session ${kind}`),
    );
    return Promise.all(
      kinds.map(async (kind) => ({
        kind,
        session: await this.target(kind).session(),
        tenant: kind === "foreign" ? this.abroad : this.home,
      })),
    );
  }

  #target(kind: TargetKind): Omit<Target, "session" | "credential" | "signingKey"> {
    const n = this.#number;
    const [alice, acme, home] = [`alice-${n}`, `acme-${n}`, this.home.id];
    const own = { project: home, projectOfPart: home, member: alice, organization: acme };
    const unknown = { project: "project-unknown", member: `nobody-${n}`, organization: `nowhere-${n}` };
    const changes: Readonly<Record<TargetKind, Partial<typeof own>>> = {
      own: {},
      misplaced: {},
      "colleague's": { member: `bob-${n}` },
      "stranger's": { member: `eve-${n}`, organization: `rival-${n}` },
      foreign: { project: this.abroad.id, projectOfPart: this.abroad.id },
      unknown,
      "unknown abroad": unknown,
    };
    return { ...own, ...changes[kind] };
  }

  async #revoke({ id }: Named, { headers }: Tenant): Promise<void> {
    await this.stage.admin.sessions.revoke({ target: { case: "id", value: id } }, { headers });
  }

  #session(tenant: Tenant, { member, organization }: Owner, roles: string[] = []): Promise<Named> {
    return this.stage.newSession(tenant, { memberId: member, organizationId: organization, roles });
  }

  #once<T>(name: string, make: () => Promise<T>): Promise<T> {
    return once(this.#made, name, make);
  }
}

const neverMade = "01900000-0000-7000-8000-000000000000";

/** The object of this name, created on first use. A name always has the same type. */
function once<T>(made: Map<string, Promise<unknown>>, name: string, make: () => Promise<T>): Promise<T> {
  const known = made.get(name) ?? make();
  made.set(name, known);
  return known as Promise<T>;
}
