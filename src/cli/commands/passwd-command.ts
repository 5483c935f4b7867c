// `millrace passwd`: changes one user of a password file.
import { removeUser, setPassword } from "../../access/password-file.ts";
import { ConfigError, OperationError } from "../../errors.ts";
import type { PasswdArguments } from "../arguments/arguments.ts";
import { promptSecret, readSecretLine } from "./secret-prompt.ts";

/** Returns what to tell the user. */
export async function runPasswd({ file, user, remove, passwordStdin }: PasswdArguments): Promise<string> {
  if (remove) {
    if (await removeUser(file, user)) return `${user} deleted from ${file}`;
    throw new OperationError("USER_UNKNOWN", `${file} has no user ${user}`);
  }
  const password = passwordStdin ? await readSecretLine(process.stdin) : await askTwice(user);
  const done = await setPassword(file, user, password);
  return `${user} ${done === "added" ? "added to" : "changed in"} ${file}; a running broker takes it on SIGHUP`;
}

async function askTwice(user: string): Promise<string> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    const message = "there is no terminal to ask for the password: use --password-stdin";
    throw new ConfigError("PASSWORD_NOT_ASKED", "--password-stdin", message);
  }
  const first = await promptSecret(`Password of ${user}: `, process.stdin, process.stderr);
  const second = await promptSecret("Again: ", process.stdin, process.stderr);
  if (first === second) return first;
  throw new OperationError("PASSWORDS_DIFFER", "the two passwords differ: nothing was changed");
}
