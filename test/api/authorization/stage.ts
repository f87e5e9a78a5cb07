import { protoPermissions } from "../../../src/rpc/messages/project-messages.ts";
import { Pool } from "pg";
import { afterAll } from "vitest";
import { type Sessiond, connectSessiond } from "../../../src/client/client.ts";
import { type Permission, permissions } from "../../../src/domain/project.ts";
import { type Authority, type Certified, authority, tlsFolder } from "../../support/process/certificates.ts";
import {
  type RunningService,
  basicAuthorization,
  movableClock,
  runningService,
} from "../../support/fixtures/running-service.ts";

/** A project and its service with all permissions. */
export interface Tenant {
  readonly id: string;
  readonly secret: string;
  readonly headers: { readonly authorization: string };
}

/** Id and credentials of a session. */
export interface Named {
  readonly id: string;
  readonly token: string;
  readonly jwt: string;
}

/** Role that may read and revoke within the organization, by the policy of every project here. */
export const grantedRole = "admin";

/** A service over TLS and its operator. */
export class Stage {
  readonly service: RunningService;
  /** CA certificate of the server. */
  readonly ca: string;
  /** Signs the certificates of callers. */
  readonly callers: Authority;
  readonly admin: Sessiond;
  readonly #database: Pool;
  #count = 0;

  constructor(service: RunningService, ca: string, callers: Authority, database: Pool) {
    this.service = service;
    this.ca = ca;
    this.callers = callers;
    const credential = { projectId: service.projectId, secret: service.secret };
    this.admin = connectSessiond({ baseUrl: service.url, credential, tls: { ca } });
    this.#database = database;
  }

  /** A new number. */
  next(): number {
    return ++this.#count;
  }

  async newTenant(): Promise<Tenant> {
    const id = `project-test-${this.next()}`;
    const roleGrants = [
      {
        role: grantedRole,
        permissions: [protoPermissions["sessions.read"], protoPermissions["sessions.revoke"]],
      },
    ];
    await this.admin.projects.createProject({ id, policy: { roleGrants } });
    const { secret } = await this.newCredential(id, permissions);
    return { id, secret, headers: { authorization: basicAuthorization(id, secret) } };
  }

  async newCredential(
    projectId: string,
    granted: readonly Permission[],
    certificateNames: string[] = [],
  ): Promise<{ id: string; secret: string }> {
    const request = {
      projectId,
      permissions: granted.map((name) => protoPermissions[name]),
      certificateNames,
    };
    const { credential, secret } = await this.admin.projects.createServiceCredential(request);
    return { id: credential?.id ?? "", secret };
  }

  /** A certificate with all permissions of the project. */
  async newCertificate(projectId: string): Promise<Certified> {
    const name = `caller-${this.next()}.example`;
    await this.newCredential(projectId, permissions, [name]);
    return this.callers.issue({ names: [`DNS:${name}`] });
  }

  async newSession(
    tenant: Tenant,
    request: Parameters<Sessiond["sessions"]["create"]>[0] & { memberId: string },
  ): Promise<Named> {
    const { session, token, jwt } = await this.admin.sessions.create(request, { headers: tenant.headers });
    return { id: session?.id ?? "", token, jwt };
  }

  /** Purges the session. */
  async forget({ id }: Named): Promise<void> {
    await this.#database.query("delete from session_tokens where session_id = $1", [id]);
    await this.#database.query("delete from sessions where id = $1", [id]);
  }
}

/** Sessions whose time is over. */
export interface Past {
  readonly tenant: Tenant;
  readonly expired: Named;
  readonly idle: Named;
  /** The session is active, its JWT has expired. */
  readonly outlived: Named;
}

/** Sets the stage for the tests of a file. */
export async function setStage(): Promise<{ stage: Stage; past: Past }> {
  const ca = authority();
  const callers = authority();
  const folder = tlsFolder();
  await folder.mount(ca.issue({ names: ["IP:127.0.0.1"] }), callers.cert);
  const clock = movableClock();
  const { now } = clock;
  const service = await runningService({
    environment: {
      ...folder.environment,
      // All callers have one address, and many of them are to be refused.
      // A purge sends few statements between those of the tested calls, which the tests leave out.
      SESSIOND_RETENTION_DAYS: "0",
    },
    now,
  });
  const database = new Pool({ connectionString: service.databaseUrl, max: 1 });
  const stage = new Stage(service, ca.cert, callers, database);
  afterAll(async () => {
    stage.admin.close();
    await database.end();
    await folder.remove();
  });
  const tenant = await stage.newTenant();
  const minute = { seconds: 60n };
  const past = {
    tenant,
    expired: await stage.newSession(tenant, { memberId: "past", lifetime: minute }),
    idle: await stage.newSession(tenant, { memberId: "past", idleTimeout: minute }),
    outlived: await stage.newSession(tenant, { memberId: "past" }),
  };
  clock.advance(600_000);
  return { stage, past };
}
