// Eclipse Mosquitto with its limits lifted: with nothing written to disk, and with its persistence as it comes, which writes
// everything anew each half hour and when it ends (autosave_interval 1800, autosave_on_changes false), never before it
// acknowledges.
import { writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { programVersion } from "../lib/version.mjs";

const settings = [
  "allow_anonymous true",
  "set_tcp_nodelay true",
  "max_inflight_messages 65534",
  "max_queued_messages 0",
  "sys_interval 0",
  "connection_messages false",
  "log_type error",
];

const mosquitto = (name, persistence) => ({
  name,
  tls: true,
  missing: "install it, or name it with --mosquitto or MOSQUITTO",
  version: (options) => programVersion(options.mosquitto, ["-h"], /version (\S+)/),
  command({ port, directory, options, tls }) {
    const file = `${directory}/mosquitto.conf`;
    const lines = [`listener ${port} 127.0.0.1`, `user ${userInfo().username}`, ...settings];
    if (persistence) lines.push("persistence true", `persistence_location ${directory}/`);
    else lines.push("persistence false");
    if (tls) lines.push(`certfile ${tls.certFile}`, `keyfile ${tls.keyFile}`);
    writeFileSync(file, `${lines.join("\n")}\n`);
    return { file: options.mosquitto, args: ["-c", file] };
  },
});

export default mosquitto("mosquitto", false);
export const persistent = mosquitto("mosquitto", true);
