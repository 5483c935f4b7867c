// Reads a password: from a terminal without echo, or from standard input as one line. Never prints or keeps it.
import type { ReadStream, WriteStream } from "node:tty";
import { OperationError } from "../../errors.ts";

/** The longest password MQTT can carry. */
const MAX_PASSWORD_BYTES = 65_535;

/** One line from a terminal, without echo. `input` must be a terminal. */
export function promptSecret(prompt: string, input: ReadStream, output: WriteStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let secret = "";
    output.write(prompt);
    input.setRawMode(true);
    input.setEncoding("utf8");
    input.resume();
    const finish = (error?: OperationError) => {
      input.off("data", onData);
      input.off("end", onEnd);
      input.setRawMode(false);
      input.pause();
      output.write("\n");
      if (error) reject(error);
      else resolve(secret);
    };
    const onEnd = () => finish(cancelled());
    const onData = (text: string) => {
      for (const character of text) {
        if (character === "\r" || character === "\n") return finish();
        if (character === "\u0003" || character === "\u0004") return finish(cancelled());
        if (character === "\u007f" || character === "\b") secret = [...secret].slice(0, -1).join("");
        else if (secret.length < MAX_PASSWORD_BYTES) secret += character;
      }
    };
    input.on("data", onData);
    input.once("end", onEnd);
  });
}

/** The first line of a stream that is not a terminal. */
export async function readSecretLine(input: NodeJS.ReadableStream): Promise<string> {
  let text = "";
  input.setEncoding("utf8");
  for await (const piece of input) {
    text += piece;
    if (text.includes("\n")) break;
    if (text.length > MAX_PASSWORD_BYTES) {
      throw new OperationError("PASSWORD_TOO_LONG", `a password has at most ${MAX_PASSWORD_BYTES} bytes`);
    }
  }
  return text.split(/\r?\n/, 1)[0];
}

function cancelled(): OperationError {
  return new OperationError("CANCELLED", "cancelled: nothing was changed");
}
