// A feed of a running broker through its control socket, item by item. Whoever takes them slowly slows the socket down, and
// in the end the broker's queue for this reader, never the broker.
import { createConnection } from "node:net";
import { OperationError } from "../../errors.ts";
import { noBroker, Refusal } from "./control-client.ts";
import { findControlPath } from "./control-path.ts";
import { encodeRequest, MAX_LINE_BYTES, parseResponse } from "./control-protocol.ts";
import { LineReader } from "./line-reader.ts";

/** Ends with the feed. Throws OperationError where there is no broker, it refuses, or it ends. */
export async function* followThroughControl(
  dataDirectory: string,
  feed: string,
  given: object,
): AsyncGenerator<unknown, void, void> {
  const path = findControlPath(dataDirectory);
  const socket = createConnection(path);
  const reader = new LineReader(MAX_LINE_BYTES);
  let connected = false;
  socket.once("connect", () => {
    connected = true;
    socket.write(encodeRequest({ id: 1, operation: "follow", feed, given }));
  });
  try {
    for await (const chunk of socket) {
      const { lines, tooLong } = reader.push(chunk as Buffer);
      for (const line of lines) {
        const response = parseResponse(line);
        if (response === undefined) throw lost("the answer is not in this version's language");
        if (!response.ok) {
          const cause = new Refusal(response.code, response.message);
          throw new OperationError("CONTROL_REFUSED", `the broker refused: ${response.message}`, { cause });
        }
        if (response.more !== true) return;
        yield response.result;
      }
      if (tooLong) throw lost("the answer is too long");
    }
    throw lost("the broker closed the control socket");
  } catch (error) {
    if (error instanceof OperationError) throw error;
    if (!connected) throw noBroker(dataDirectory, path, error as NodeJS.ErrnoException);
    throw lost(`the control socket failed: ${(error as Error).message}`);
  } finally {
    socket.destroy();
  }
}

function lost(why: string): OperationError {
  return new OperationError("CONTROL_NO_ANSWER", `${why}: what comes after is not known`);
}
