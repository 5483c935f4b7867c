// How devices connect and sign in, as rows: instance, versions, ClientID, attempts, registration, answers.
// Groups and names are those of `platform.…` in the configuration.
import { codes, flag, number, text, word, type SettingRow } from "./row.ts";

export const SIGN_IN_SETTINGS = {
  instance: {
    type: word(
      ["enterprise", "public"],
      "enterprise",
      "kind of instance; a public one has no MQTT 5.0 unless `platform.mqtt5.enabled` says so [NET-2]",
    ),
  },
  mqtt5: {
    enabled: flag(true, "accept MQTT 5.0 [NET-2]", "true; false where `platform.instance.type` is public"),
    oneFamily: flag(true, "a device that has connected over 5.0 may not come back over 3.x [NET-3]"),
  },
  tcp: {
    plain: flag(
      true,
      "devices may sign in over TCP and WebSocket without TLS; the first is warned of [NET-6]",
    ),
  },
  auth: {
    strictSecureMode: flag(false, "refuse securemode 2 without TLS and 3 with it [AUTH-9]"),
    maxClientIdFieldBytes: number(
      1024,
      "bytes",
      66,
      65_535,
      "longest ClientID field with its extensions [AUTH-3]",
    ),
    optionalSignatureFields: flag(
      true,
      "client id and timestamp may be left out of the signature, even where the ClientID carries them [AUTH-6]",
    ),
    tokenSeconds: number(
      604_800,
      "s",
      60,
      31_536_000,
      "how long the name and password of the HTTPS pre-authentication are good [AUTH-15]",
    ),
    maxTokens: number(
      100_000,
      "count",
      1,
      10_000_000,
      "names of the HTTPS pre-authentication that are good at a time; beyond it the oldest end [AUTH-15]",
    ),
    assignedClientId: text("{pk}.{dn}", "assigned Client Identifier; {pk} and {dn} are put in [AUTH-8]"),
  },
  connection: {
    clientIdUnique: flag(
      false,
      "a device ends the connection of another device that uses the same client id [CONN-2]",
    ),
    minKeepAliveSeconds: number(30, "s", 0, 65_535, "least Keep Alive [CONN-5]"),
    maxKeepAliveSeconds: number(1200, "s", 0, 65_535, "greatest Keep Alive [CONN-5]"),
    attemptsPerMinute: number(
      5,
      "per min",
      0,
      100_000,
      "CONNECTs of one device with right credentials; 0: no bound [CONN-3]",
    ),
    failuresPerMinute: number(
      5,
      "per min",
      0,
      100_000,
      "CONNECTs with wrong credentials for one device from one address; then that address waits; 0: no bound [CONN-3]",
    ),
    attemptsPerSecond: number(
      500,
      "per s",
      0,
      1_000_000,
      "CONNECTs with right credentials of all devices together; 0: no bound [CONN-4]",
    ),
    trackedFailures: number(
      100_000,
      "count",
      1,
      10_000_000,
      "devices and addresses whose failed CONNECTs are remembered, and as many each of products and addresses, and of addresses, for [DYN-6] and HTTP; beyond it the oldest are forgotten",
    ),
  },
  http: {
    maxBodyBytes: number(
      65_536,
      "bytes",
      1_024,
      16_777_216,
      "largest body of an HTTP request; beyond it 413",
    ),
    failuresPerMinute: number(
      300,
      "per min",
      0,
      1_000_000,
      "registrations and pre-authentications over HTTP with wrong credentials from one address, whoever it names; then that address is answered 429; 0: no bound [DYN-6] [AUTH-15]",
    ),
  },
  dynreg: {
    requireTls: flag(true, "dynamic registration over MQTT needs TLS [DYN-2]"),
    failuresPerMinute: number(
      30,
      "per min",
      0,
      100_000,
      "dynamic registrations of a product with wrong signatures from one address, over MQTT and HTTP, whichever devices it names; then that address waits; 0: no bound [DYN-6]",
    ),
    maxSeconds: number(15, "s", 1, 3_600, "how long a connection of dynamic registration may stay [DYN-5]"),
  },
  codes: {
    mqtt5Disabled: codes(1, 0x84, "answer to a 5.0 CONNECT where that is switched off [NET-2]"),
    clientId: codes(
      2,
      0x85,
      "ClientID of the wrong form, too long, empty in 3.x, unknown signmethod [AUTH-1], [AUTH-3], [AUTH-5], [AUTH-8]",
    ),
    secureMode: codes(2, 0x85, "securemode does not fit the transport, where that is checked [AUTH-9]"),
    credentials: codes(
      4,
      0x86,
      "user name malformed, wrong signature, unknown device [AUTH-4], [AUTH-5], [AUTH-13]",
    ),
    disabled: codes(5, 0x8a, "right signature, device disabled [AUTH-13]"),
    keepAlive: codes(2, 0x80, "Keep Alive out of range [CONN-5]"),
    protocolFamily: codes(5, 0x84, "3.x from a device that has connected over 5.0 [NET-3]"),
    plain: codes(5, 0x87, "TCP or WebSocket without TLS, where that is switched off [NET-6]"),
    attempts: codes(3, 0x9f, "a device has tried to connect too often [CONN-3]"),
    certificate: codes(5, 0x87, "no client certificate, or not this device's [AUTH-11]"),
    registrationForm: codes(
      2,
      0x85,
      "dynamic registration without random, with an unknown signmethod, or without TLS [DYN-2]",
    ),
    registration: codes(
      4,
      0x86,
      "dynamic registration refused: wrong signature, switched off, device unknown or activated, too many pairs [DYN-1] [DYN-3] [DYN-4]",
    ),
    account: codes(3, 0x89, "all devices together try to connect too often [CONN-4]"),
  },
} as const satisfies Record<string, Record<string, SettingRow>>;
