import { appendFile, readFile, rm, writeFile } from "node:fs/promises";
import { run } from "../../../src/embedded-postgres/run-as.ts";

const policy = "/usr/sbin/policy-rc.d";
const clusters = "/etc/postgresql-common/createcluster.conf";

const environment = {
  PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin",
  DEBIAN_FRONTEND: "noninteractive",
};

/** Returns those of the Debian packages that are not installed. All of them if this is not Debian. */
export async function missingPackages(packages: readonly string[]): Promise<readonly string[]> {
  const missing: string[] = [];
  for (const name of packages) {
    const { output } = await run("dpkg-query", ["--show", "--showformat=${db:Status-Status}", name], {
      env: environment,
    });
    if (output !== "installed") missing.push(name);
  }
  return missing;
}

/**
 * Installs packages if this process is root and apt works. Starts no service and creates no PostgreSQL cluster. Returns why it
 * could not, or undefined.
 */
export async function installPackages(packages: readonly string[]): Promise<string | undefined> {
  if (process.geteuid?.() !== 0) return "only root can install it";
  // Forbids the scripts of packages to start services, as in Debian's container images.
  const isOurs = await writeFile(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755, flag: "wx" }).then(
    () => true,
    () => false,
  );
  try {
    if (packages.some((name) => /^postgresql-\d+$/.test(name))) {
      const problem = await install(["postgresql-common"]);
      if (problem !== undefined) return problem;
      await createNoCluster();
    }
    return await install(packages);
  } finally {
    if (isOurs) await rm(policy);
  }
}

/** Keeps the package of a PostgreSQL version from creating a cluster. */
async function createNoCluster(): Promise<void> {
  const settings = await readFile(clusters, "utf8").catch(() => "");
  if (!/^\s*create_main_cluster\s*=/m.test(settings)) {
    await appendFile(clusters, "create_main_cluster = false\n");
  }
}

async function install(packages: readonly string[]): Promise<string | undefined> {
  const args = ["install", "--yes", "--no-install-recommends", ...packages];
  const { status, output } = await run("apt-get", args, { env: environment });
  return status === 0 ? undefined : `apt-get could not install it: ${output.split("\n").at(-1)}`;
}
