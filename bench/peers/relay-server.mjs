// Started by relay.mjs: answers CONNECT and SUBSCRIBE with canned packets, afterwards only forwards bytes.
// usage: node relay-server.mjs PORT p2p|fanout
//   p2p:    the k-th publisher's bytes go to the k-th subscriber, in the order in which they connected
//   fanout: a publisher's bytes go to every subscriber
// QoS 0 only. Whole packets are assumed until the first PUBLISH of a connection.
import net from "node:net";

const MAX_UNSENT = 1 << 20; // bytes waiting for one receiver before publishers are paused
const port = Number(process.argv[2]);
const fanOut = process.argv[3] === "fanout";
const connections = new Set(); // in the order of arrival
const subscribers = new Set();
const paused = new Set();

function pause(publisher) {
  paused.add(publisher);
  publisher.pause();
}

function resumeAll() {
  for (const publisher of paused) publisher.resume();
  paused.clear();
}

/** The subscriber with the same rank among subscribers as `publisher` has among publishers. */
function partnerOf(publisher) {
  const inOrder = [...connections];
  const rank = inOrder.filter((connection) => !subscribers.has(connection)).indexOf(publisher);
  return inOrder.filter((connection) => subscribers.has(connection))[rank];
}

function forwarder(publisher) {
  if (fanOut) {
    const targets = [...subscribers];
    return (chunk) => {
      let full = false;
      for (const target of targets) {
        if (!target.write(chunk) && target.writableLength > MAX_UNSENT) full = true;
      }
      if (full) pause(publisher);
    };
  }
  const target = partnerOf(publisher);
  return (chunk) => {
    if (target && !target.write(chunk) && target.writableLength > MAX_UNSENT) pause(publisher);
  };
}

function answer(socket, chunk) {
  for (let at = 0; at < chunk.length; ) {
    const type = chunk[at] >> 4;
    if (type === 3) {
      socket.removeAllListeners("data");
      const forward = forwarder(socket);
      socket.on("data", forward);
      forward(chunk.subarray(at));
      return;
    }
    let body = at + 1;
    let length = 0;
    let shift = 0;
    do {
      length |= (chunk[body] & 127) << shift;
      shift += 7;
    } while (chunk[body++] & 128);
    if (type === 1) {
      socket.isV5 = chunk[body + 6] === 5;
      socket.write(Buffer.from(socket.isV5 ? [0x20, 3, 0, 0, 0] : [0x20, 2, 0, 0]));
    } else if (type === 8) {
      const identifier = [chunk[body], chunk[body + 1]];
      socket.write(Buffer.from(socket.isV5 ? [0x90, 4, ...identifier, 0, 0] : [0x90, 3, ...identifier, 0]));
      subscribers.add(socket);
      socket.on("drain", resumeAll);
    } else if (type === 14) {
      socket.end();
    }
    at = body + length;
  }
}

net
  .createServer({ noDelay: true }, (socket) => {
    connections.add(socket);
    socket.on("data", (chunk) => answer(socket, chunk));
    socket.on("error", () => {}); // the load generator resets connections when it is done
    socket.on("close", () => {
      connections.delete(socket);
      paused.delete(socket);
      if (subscribers.delete(socket)) resumeAll();
    });
  })
  .listen({ port, host: "127.0.0.1", backlog: 4096 });
