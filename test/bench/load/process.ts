// Run as a process of its own, over IPC: does one job after the other, and so is warm after the first.
import { generate } from "./generator.ts";
import type { Job } from "./job.ts";

process.on("message", (job: Job) => {
  generate(job).then(
    (report) => process.send?.({ report }),
    (error: unknown) => process.send?.({ failure: String(error) }),
  );
});
// What ends it with its parent would let it end when it has nothing to do.
process.channel?.ref();
process.send?.({ ready: true });
