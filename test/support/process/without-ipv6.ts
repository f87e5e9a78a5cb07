// Loaded by NODE_OPTIONS=--import: makes this process behave as on a machine without IPv6, where no socket of that family exists.

/** EAFNOSUPPORT of Linux, as libuv returns it. */
const notSupported = -97;

// Node.js has no public way to make this fail.
// eslint-disable-next-line typescript/no-deprecated
const { TCP } = (process as unknown as { binding(name: string): { TCP: { prototype: object } } }).binding(
  "tcp_wrap",
);
Object.assign(TCP.prototype, { bind6: () => notSupported });
