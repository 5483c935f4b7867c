// Runs one command and says with which code the process ends. Everything heavy is loaded only by the command that
// needs it: `millrace publish` never sees the broker, a start without a configuration file never sees zod.
import { ConfigError, OperationError } from "../errors.ts";
import { VERSION } from "../version.ts";
import { parseArguments, type StartFlags } from "./arguments/arguments.ts";
import { EXIT_FAILED, EXIT_OK, EXIT_USAGE } from "./commands/exit-codes.ts";
import { printable } from "./registry/printable.ts";
import { groupText, helpText } from "./arguments/help-text.ts";

export async function runCommandLine(argv: readonly string[]): Promise<number> {
  process.stdout.on("error", () => {}); // told by the write
  try {
    const command = parseArguments(argv);
    switch (command.kind) {
      case "help":
        process.stdout.write(helpText(command.command));
        return EXIT_OK;
      case "group":
        process.stdout.write(groupText(command.words));
        return EXIT_OK;
      case "version":
        process.stdout.write(`${VERSION}\n`);
        return EXIT_OK;
      case "passwd":
        return told(await (await import("./commands/passwd-command.ts")).runPasswd(command.arguments));
      case "publish":
        await (await import("./commands/publish-command.ts")).runPublish(command.arguments);
        return EXIT_OK;
      case "backup":
        return told(await (await import("./commands/backup-command.ts")).runBackup(command.arguments));
      case "restore":
        return told(await (await import("./commands/backup-command.ts")).runRestore(command.arguments));
      case "export":
        return told(await (await import("./commands/export-command.ts")).runExport(command.arguments));
      case "import":
        return told(await (await import("./commands/export-command.ts")).runImport(command.arguments));
      case "product":
        return perhapsTold(
          await (await import("./commands/product-command.ts")).runProduct(command.arguments),
        );
      case "device":
        return perhapsTold(await (await import("./commands/device-command.ts")).runDevice(command.arguments));
      case "device import":
        return told(
          await (await import("./commands/device-import-command.ts")).runDeviceImport(command.arguments),
        );
      case "rrpc":
        await (await import("./commands/platform-commands.ts")).runRrpc(command.arguments);
        return EXIT_OK;
      case "subscriptions":
        await (await import("./commands/subscriptions-command.ts")).runSubscriptions(command.arguments);
        return EXIT_OK;
      case "shadow":
        await (await import("./commands/platform-commands.ts")).runShadow(command.arguments);
        return EXIT_OK;
      case "upstream":
        await (await import("./commands/platform-commands.ts")).runUpstream(command.arguments);
        return EXIT_OK;
      case "log":
        await (await import("./commands/platform-commands.ts")).runLog(command.arguments);
        return EXIT_OK;
      case "device certificate":
        return told(
          await (await import("./commands/device-certificate-command.ts")).runDeviceCertificate(
            command.arguments,
          ),
        );
      case "start":
        return await (command.check ? check(command.flags) : start(command.flags));
    }
  } catch (error) {
    return readerGone(error) ? EXIT_OK : report(error);
  }
}

/** Whoever reads what is printed has seen enough, as `head` does. */
function readerGone(error: unknown): boolean {
  const { code, syscall } = error as NodeJS.ErrnoException;
  return code === "EPIPE" && syscall === "write";
}

/** To standard error: standard output carries only what was asked for. */
function told(text: string): number {
  process.stderr.write(`${text}\n`);
  return EXIT_OK;
}

function perhapsTold(text: string | undefined): number {
  return text === undefined ? EXIT_OK : told(text);
}

async function check(flags: StartFlags): Promise<number> {
  const [{ readSettings }, { checkSettings }] = await Promise.all([
    import("./start/start.ts"),
    import("./start/check.ts"),
  ]);
  process.stdout.write(await checkSettings(await readSettings(flags)));
  return EXIT_OK;
}

async function start(flags: StartFlags): Promise<number> {
  const [{ createBroker }, { readSettings, runBroker }, { createLogger }, { compileCoreAtOnce }] =
    await Promise.all([
      import("../broker.ts"),
      import("./start/start.ts"),
      import("./start/logger.ts"),
      import("./start/core-compilation.ts"),
    ]);
  compileCoreAtOnce();
  const settings = await readSettings(flags);
  const logger = createLogger(settings.logLevel);
  const end = (code: number): never => {
    logger.flush();
    process.exit(code);
  };
  process.on("uncaughtException", (error) => {
    logger.error({ err: error }, "internal error, the broker ends");
    end(EXIT_FAILED);
  });
  try {
    await runBroker(flags, settings, {
      createBroker,
      logger,
      print: (text) => process.stdout.write(text),
      exitNow: () => end(EXIT_FAILED),
    });
    return EXIT_OK;
  } finally {
    logger.flush();
  }
}

/** Expected errors are told in words; anything else is a fault of ours and keeps its stack. */
function report(error: unknown): number {
  if (error instanceof ConfigError) {
    const where = error.message.includes(error.path) ? "" : `${error.path}: `;
    process.stderr.write(printable(`millrace: ${where}${error.message}\n`));
    if (/^(UNKNOWN_|BAD_FLAG|MISSING_|SURPLUS_)/.test(error.code))
      process.stderr.write("millrace --help lists commands and flags.\n");
    return EXIT_USAGE;
  }
  if (error instanceof OperationError) process.stderr.write(printable(`millrace: ${error.message}\n`));
  else
    process.stderr.write(
      `millrace: internal error: ${error instanceof Error ? error.stack : String(error)}\n`,
    );
  return EXIT_FAILED;
}
