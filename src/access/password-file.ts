// The password file of the standard profile: one `user:$scrypt$N=16384,r=8,p=1$SALT$HASH` a line (Base64), blank lines
// and lines that begin with "#" are left alone. Reads it, checks against it, and changes one line of it.
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { ConfigError, OperationError } from "../errors.ts";
import { messageOf, writeFileAtomic } from "./atomic-file.ts";
import {
  type CheckerOptions,
  DEFAULT_COST,
  deriveHash,
  type PasswordCheck,
  PasswordChecker,
  type PasswordEntry,
  type ScryptCost,
} from "./password-checker.ts";

const LINE =
  /^([^:]+):\$scrypt\$N=(\d{1,9}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]+={0,2})\$([A-Za-z0-9+/]+={0,2})$/;
/** More memory than this for one check is a mistake or an attack on ourselves. */
const MAX_CHECK_BYTES = 268_435_456;
const MAX_USERNAME_BYTES = 65_535;

export class PasswordFile {
  readonly path: string;
  readonly #entries: ReadonlyMap<string, PasswordEntry>;
  readonly #checker: PasswordChecker;

  private constructor(path: string, entries: ReadonlyMap<string, PasswordEntry>, options?: CheckerOptions) {
    this.path = path;
    this.#entries = entries;
    this.#checker = new PasswordChecker(entries, options);
  }

  static async load(path: string, options?: CheckerOptions): Promise<PasswordFile> {
    return PasswordFile.parse(await readText(path), path, options);
  }

  /** Throws ConfigError with the file's name and the line. */
  static parse(text: string, path: string, options?: CheckerOptions): PasswordFile {
    const entries = new Map<string, PasswordEntry>();
    text.split(/\r?\n/).forEach((line, index) => {
      if (isIgnored(line)) return;
      const [username, entry] = parseLine(line, path, index + 1);
      if (entries.has(username)) {
        throw badLine(path, index + 1, `user "${username}" is listed twice: delete one of the two lines`);
      }
      entries.set(username, entry);
    });
    return new PasswordFile(path, entries, options);
  }

  get users(): readonly string[] {
    return [...this.#entries.keys()];
  }

  /** Constant in time over users; "busy" where too many checks wait already. */
  verify(username: string, password: Uint8Array): PasswordCheck | Promise<PasswordCheck> {
    return this.#checker.check(username, password);
  }
}

/** Adds a user or changes the password of one. The file is made where it is missing, mode 0600. */
export async function setPassword(
  path: string,
  username: string,
  password: string,
  cost: ScryptCost = DEFAULT_COST,
): Promise<"added" | "changed"> {
  assertUsername(username);
  if (password === "")
    throw new ConfigError(
      "PASSWORD_EMPTY",
      path,
      "the password is empty: give one of at least one character",
    );
  const salt = randomBytes(16);
  const hash = await deriveHash(Buffer.from(password), salt, cost);
  const { N, r, p } = cost;
  const line = `${username}:$scrypt$N=${N},r=${r},p=${p}$${salt.toString("base64")}$${hash.toString("base64")}`;
  const lines = await readLines(path);
  const index = lines.findIndex((other) => isLineOf(other, username));
  if (index < 0) lines.push(line);
  else lines[index] = line;
  await writeFileAtomic(path, `${lines.join("\n")}\n`);
  return index < 0 ? "added" : "changed";
}

/** False where there was no such user. */
export async function removeUser(path: string, username: string): Promise<boolean> {
  const lines = await readLines(path);
  const kept = lines.filter((line) => !isLineOf(line, username));
  if (kept.length === lines.length) return false;
  await writeFileAtomic(path, kept.length === 0 ? "" : `${kept.join("\n")}\n`);
  return true;
}

function parseLine(line: string, path: string, number: number): [string, PasswordEntry] {
  const match = LINE.exec(line);
  if (match === null) {
    throw badLine(
      path,
      number,
      "not of the form user:$scrypt$N=…,r=…,p=…$salt$hash: write it with `millrace passwd` (hashes of other brokers cannot be read)",
    );
  }
  const cost = { N: Number(match[2]), r: Number(match[3]), p: Number(match[4]) };
  if (!isAllowed(cost)) {
    throw badLine(
      path,
      number,
      "scrypt cost out of range: N a power of two, r and p at least 1, 128*N*r*p at most 256 MiB",
    );
  }
  const hash = Buffer.from(match[6], "base64");
  if (hash.length < 16 || hash.length > 64)
    throw badLine(path, number, "hash of less than 16 or more than 64 bytes: set the password again");
  return [match[1], { cost, salt: Buffer.from(match[5], "base64"), hash }];
}

function isAllowed({ N, r, p }: ScryptCost): boolean {
  const powerOfTwo = N >= 2 && Number.isInteger(Math.log2(N));
  return powerOfTwo && r >= 1 && p >= 1 && 128 * N * r * p <= MAX_CHECK_BYTES;
}

function assertUsername(username: string): void {
  // A colon ends the name in the file, a leading "#" makes the line a comment.
  const breaksLine = username.startsWith("#") || /[:\p{Cc}]/u.test(username);
  if (username === "" || breaksLine || Buffer.byteLength(username) > MAX_USERNAME_BYTES) {
    throw new ConfigError(
      "USERNAME_INVALID",
      "username",
      `"${username}": a user name is not empty and has no ":", no control character and no "#" in front`,
    );
  }
}

function isIgnored(line: string): boolean {
  return line.trim() === "" || line.startsWith("#");
}

function isLineOf(line: string, username: string): boolean {
  return !isIgnored(line) && line.slice(0, Math.max(0, line.indexOf(":"))) === username;
}

async function readLines(path: string): Promise<string[]> {
  try {
    const lines = (await readFile(path, "utf8")).split(/\r?\n/);
    if (lines.at(-1) === "") lines.pop();
    return lines;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw unreadable(path, cause);
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function unreadable(path: string, cause: unknown): OperationError {
  return new OperationError(
    "PASSWORD_FILE_READ",
    `${path}: the password file cannot be read: ${messageOf(cause)}`,
    { cause },
  );
}

function badLine(path: string, line: number, message: string): ConfigError {
  return new ConfigError("PASSWORD_FILE", `${path}:${line}`, `${path}:${line}: ${message}`);
}
