/** For Node's `NODE_OPTIONS`: shifts the wall clock of the process by `ms`, as on a machine whose clock is wrong. */
export function skewedBy(ms: number): string {
  const code = `
    const Machine = Date;
    globalThis.Date = class extends Machine {
      constructor(...parts) {
        if (parts.length === 0) super(Machine.now() + ${ms});
        else super(...parts);
      }
      static now() {
        return Machine.now() + ${ms};
      }
    };`;
  return `--import data:text/javascript,${encodeURIComponent(code)}`;
}
