#!/usr/bin/env node
import { Command } from "commander";
import { demo } from "./demo.ts";
import { serve } from "./serve.ts";

const program = new Command("sessiond").description(
  "An internal session service over gRPC, Connect and REST.",
);

program
  .command("serve")
  .description("run the service; configuration comes from the environment (see the README)")
  .action(() => serve(process.env));

program
  .command("demo")
  .description("play the main job against a service of its own, and print it as a table")
  .action(demo);

await program.parseAsync();
