/** The heap that a besieged process has, in megabytes: one that kept more alive would end. */
export const maxHeapMegabytes = 512;

/** What it may have resident at most, heap, buffers and the rest together, in megabytes. */
export const maxResidentMegabytes = 1024;
