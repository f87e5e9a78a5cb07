/** Longest delay of a Node.js timer, in milliseconds. A timer with a longer one fires at once. */
export const maxTimerMs = 2 ** 31 - 1;
