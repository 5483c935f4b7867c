// Connect requests and identities for policy tests: a plain 3.1.1 client on loopback, with overrides.
import type { ConnectDecision, ConnectRequest, Identity } from "../../src/access/policy.ts";
import type { StreamInfo } from "../../src/transport/streams/stream.ts";

export const LOOPBACK: StreamInfo = {
  transport: "tcp",
  secure: false,
  remoteAddress: "127.0.0.1",
  remotePort: 50_000,
  localPort: 1883,
  loopback: true,
};
export const PUBLIC: StreamInfo = { ...LOOPBACK, remoteAddress: "192.0.2.7", loopback: false };
export const SECURE: StreamInfo = { ...LOOPBACK, transport: "tls", secure: true };

type Overrides = Omit<Partial<ConnectRequest>, "password"> & { readonly password?: string | Uint8Array };

export function connectRequest({ password, ...overrides }: Overrides = {}): ConnectRequest {
  return {
    level: 4,
    clientId: "c1",
    username: undefined,
    cleanStart: true,
    keepAlive: 60,
    properties: {},
    will: undefined,
    stream: LOOPBACK,
    ...overrides,
    password: typeof password === "string" ? Buffer.from(password) : password,
  };
}

export function identity(clientId: string, username?: string): Identity {
  return { clientId, username, sessionKey: clientId };
}

/** "accepted", or the two codes: "4/0x86". */
export function outcome(decision: ConnectDecision): string {
  return decision.ok ? "accepted" : `${decision.code3}/0x${decision.reason.toString(16)}`;
}
