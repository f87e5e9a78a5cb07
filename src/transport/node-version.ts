/** Oldest supported version of Node.js, as in `engines` of package.json. */
export const minNodeVersion = "22.12";

/** Says in one sentence that a version of Node.js is too old; undefined if it is supported. */
export function nodeProblem(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [minMajor = 0, minMinor = 0] = minNodeVersion.split(".").map(Number);
  if (major > minMajor || (major === minMajor && minor >= minMinor)) return undefined;
  return `sessiond needs Node.js ${minNodeVersion} or newer, and this is ${version}.`;
}

/** Throws if this Node.js is too old. On such versions much would load, and fail only when it is used. */
export function requireNode(): void {
  const problem = nodeProblem(process.versions.node);
  if (problem !== undefined) throw new Error(problem);
}
