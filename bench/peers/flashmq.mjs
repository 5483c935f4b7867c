// FlashMQ on one thread with its limits lifted. It is not part of this project: build it from its public source.
import { writeFileSync } from "node:fs";
import { programVersion } from "../lib/version.mjs";

const settings = [
  "thread_count 1",
  "allow_anonymous true",
  "log_level error",
  "max_qos_msg_pending_per_client 65535",
  "max_qos_bytes_pending_per_client 1073741824",
  "client_max_write_buffer_size 268435456",
  "max_event_loop_drift 60000",
];

export default {
  name: "flashmq",
  tls: true,
  missing: "name it with --flashmq or FLASHMQ",
  version: (options) => programVersion(options.flashmq, ["-V"], /Version (\S+)/),
  command({ port, directory, options, tls }) {
    const file = `${directory}/flashmq.conf`;
    const listener = [
      "protocol mqtt",
      "inet_protocol ip4",
      "inet4_bind_address 127.0.0.1",
      `port ${port}`,
      "tcp_nodelay true", // without it QoS 1 stands still for 40 ms at a time
    ];
    if (tls) listener.push(`fullchain ${tls.certFile}`, `privkey ${tls.keyFile}`);
    const lines = [...settings, `storage_dir ${directory}`, `log_file ${directory}/flashmq.log`];
    writeFileSync(file, `${lines.join("\n")}\nlisten {\n  ${listener.join("\n  ")}\n}\n`);
    return { file: options.flashmq, args: ["-c", file] };
  },
};
