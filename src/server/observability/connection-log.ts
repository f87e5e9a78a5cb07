import type { Logger } from "pino";
import { describeFault } from "./call-log.ts";
import type { FailureReporter } from "../listener/guard.ts";

/**
 * Logs what goes wrong with connections. It is mostly the peer's doing, so nobody is alarmed; but whose certificate is refused
 * hears of it in no answer, and is no stranger to the operator.
 */
export function connectionLog(log: Logger): FailureReporter {
  return (error, place) => {
    const fields = { place, fault: describeFault(error) };
    if (place === "client certificate") log.warn(fields, "connection refused");
    else log.debug(fields, "connection trouble");
  };
}
