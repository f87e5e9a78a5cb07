/** What a besieged process may have resident at most, in megabytes: about four times what it has at rest. */
export const maxResidentMegabytes = 768;
