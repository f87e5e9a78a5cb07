import { once } from "node:events";
import type { Job, Report } from "./load/job.ts";
import { cores } from "./pin.ts";
import type { BenchProcess, Processes } from "./processes.ts";

type Message = { readonly report: Report } | { readonly failure: string } | { readonly ready: true };

/** A generator in a process of its own. */
export class LoadProcess {
  readonly #process: BenchProcess;

  private constructor(process: BenchProcess) {
    this.#process = process;
  }

  static async start(processes: Processes): Promise<LoadProcess> {
    const load = new LoadProcess(processes.start("load/process.ts", { core: cores.load }));
    await load.#next();
    return load;
  }

  /** Does a job; one at a time. Rejects when it cannot be done, or when a call did not succeed. */
  async run(job: Job): Promise<Report> {
    this.#process.process.send(job);
    const message = await this.#next();
    if ("failure" in message) throw new Error(`${job.url}${job.path}: ${message.failure}`);
    if (!("report" in message)) throw new Error("the generator began anew");
    const { ok = 0, ...failures } = message.report.outcomes;
    if (ok === 0 || Object.keys(failures).length > 0) {
      throw new Error(`${job.url}${job.path}: ${JSON.stringify(message.report.outcomes)}`);
    }
    return message.report;
  }

  async #next(): Promise<Message> {
    const over = this.#process.ended.then(() => []);
    const [message]: Message[] = await Promise.race([once(this.#process.process, "message"), over]);
    if (message === undefined) throw new Error(`the generator ended: ${this.#process.complaint()}`);
    return message;
  }
}
