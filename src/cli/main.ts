#!/usr/bin/env node
// The executable: arguments in, exit code out.
import { runCommandLine } from "./commands.ts";

process.exit(await runCommandLine(process.argv.slice(2)));
