/** Options for `vi.waitUntil`. The condition should hold within milliseconds. */
export const patience = { timeout: 20_000, interval: 5 };
