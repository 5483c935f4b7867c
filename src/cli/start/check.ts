// `millrace --check`: validates everything a start would read, opens nothing and creates nothing.
import { AccessList } from "../../access/access-list.ts";
import { PasswordFile } from "../../access/password-file.ts";
import { listenerLines, ratesLine } from "./greeting.ts";
import type { Settings } from "../config/settings.ts";
import { checkTls } from "../config/tls-files.ts";

/** Returns the report. Throws what a start would throw. */
export async function checkSettings(settings: Settings): Promise<string> {
  for (const { tls } of settings.listeners) if (tls) checkTls(tls);
  const notes: string[] = [];
  if (settings.passwordFile !== undefined) {
    const { users } = await PasswordFile.load(settings.passwordFile);
    notes.push(`Users: ${users.length} in ${settings.passwordFile}`);
  }
  if (settings.aclFile !== undefined) {
    await AccessList.load(settings.aclFile);
    notes.push(`Access list: ${settings.aclFile}`);
  }
  const source = settings.configFile === undefined ? "Arguments" : settings.configFile;
  return [
    `${source}: valid. A start would listen on:\n`,
    listenerLines(settings.listeners),
    `Data directory: ${settings.dataDirectory}\n`,
    `Durability: ${settings.durability}\n`,
    ratesLine(settings.platform),
    ...notes.map((note) => `${note}\n`),
  ].join("");
}
