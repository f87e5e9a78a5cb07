#!/usr/bin/env node
import { Command } from "commander";
import { serve } from "./serve.ts";

const program = new Command("sessiond").description(
  "An internal session service over gRPC, Connect and REST.",
);

program
  .command("serve")
  .description("run the service; configuration comes from the environment (see the README)")
  .action(() => serve(process.env));

await program.parseAsync();
