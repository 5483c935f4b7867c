// The session as the broker knows it: with a real connection.
import type { Connection } from "../../connection/connection.ts";
import type { Session } from "../../session/session.ts";

export type BrokerSession = Session<Connection>;
