/** For `vi.waitUntil`: how often to look, and when to give up on what should take milliseconds. */
export const patience = { timeout: 20_000, interval: 5 };
