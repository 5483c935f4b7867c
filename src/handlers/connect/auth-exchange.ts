// Enhanced authentication [MQTT-4.12]: exchanges of AUTH packets before CONNACK, and again while the client is online.
import { settle } from "../../access/settle.ts";
import type { AuthExchange, AuthStep, ConnectRequest } from "../../access/policy.ts";
import { AUTHENTICATING, CONNECTING, type Connection } from "../../connection/connection.ts";
import { encodeAuth } from "../../protocol/packet-encoder.ts";
import { ReasonCode } from "../../protocol/reason-codes.ts";
import { closeConnection } from "../context/close.ts";
import { refuseConnect } from "./connack.ts";
import type { Context } from "../context/context.ts";
import { whenDecided } from "../context/hold.ts";

type Decide = (username: string | undefined, data: Uint8Array | undefined) => void;

interface Running {
  /** undefined: it is over, and a new one may be begun. */
  exchange: AuthExchange | undefined;
  readonly request: ConnectRequest;
  /** Decides about CONNECT with what the exchange has proved; undefined in re-authentication. */
  readonly decide: Decide | undefined;
  /** The user name that the exchange of CONNECT has proved. */
  proved: string | undefined;
}

/** Exchanges by connection: before CONNACK, and re-authentication after it. */
const exchanges = new WeakMap<Connection, Running>();

/** What the policy has for the method; one that throws has nothing. */
function exchangeFor(
  context: Context,
  connection: Connection,
  request: ConnectRequest,
  method: string,
): AuthExchange | undefined {
  try {
    return connection.policy.authenticate?.(method, request);
  } catch (error) {
    context.gate.failed(error);
    return undefined;
  }
}

/** CONNECT names an Authentication Method: its exchange comes before the decision. */
export function beginExchange(
  context: Context,
  connection: Connection,
  request: ConnectRequest,
  method: string,
  data: Uint8Array | undefined,
  decide: Decide,
): void {
  const exchange = exchangeFor(context, connection, request, method);
  if (exchange === undefined) {
    refuseConnect(context, connection, { ok: false, code3: 5, reason: ReasonCode.badAuthenticationMethod }); // [MQTT-4.12.0-1]
    return;
  }
  connection.authMethod = method;
  exchanges.set(connection, { exchange, request, decide, proved: undefined });
  stepExchange(context, connection, data);
}

/** Starts re-authentication of a client that is online. False: there is no exchange to speak of. */
export function reauthenticate(
  context: Context,
  connection: Connection,
  data: Uint8Array | undefined,
): boolean {
  const known = exchanges.get(connection);
  if (known === undefined || connection.authMethod === undefined) return false;
  const exchange = exchangeFor(context, connection, known.request, connection.authMethod);
  if (exchange === undefined) return false;
  exchanges.set(connection, { exchange, request: known.request, decide: undefined, proved: known.proved });
  stepExchange(context, connection, data);
  return true;
}

/** The next step, with what the client has sent. False: no exchange is going on. */
export function stepExchange(
  context: Context,
  connection: Connection,
  data: Uint8Array | undefined,
): boolean {
  const running = exchanges.get(connection);
  if (running?.exchange === undefined) return false;
  let step: AuthStep | Promise<AuthStep>;
  try {
    step = settle(running.exchange.step(data));
  } catch (error) {
    context.gate.failed(error);
    step = { state: "refused", reason: ReasonCode.notAuthorized };
  }
  whenDecided(
    context,
    connection,
    step,
    { state: "refused", reason: ReasonCode.notAuthorized } as AuthStep,
    (result) => endStep(context, connection, running, result),
  );
  return true;
}

function endStep(context: Context, connection: Connection, running: Running, step: AuthStep): void {
  const method = connection.authMethod as string;
  switch (step.state) {
    case "continue":
      if (running.decide !== undefined) connection.state = AUTHENTICATING;
      connection.outbox.packet(
        encodeAuth({
          reasonCode: ReasonCode.continueAuthentication,
          properties: { ...step.properties, authenticationMethod: method, authenticationData: step.data },
        }),
      );
      return;
    case "success":
      running.exchange = undefined;
      if (running.decide !== undefined) {
        connection.state = CONNECTING;
        running.proved = step.username;
        running.decide(step.username, step.data);
      } else if (step.username !== running.proved) {
        // Whoever it is, the session and its rights are another user's.
        closeConnection(context, connection, ReasonCode.notAuthorized, "Re-authentication as another user");
      } else {
        connection.outbox.packet(
          encodeAuth({
            reasonCode: ReasonCode.success,
            properties: { authenticationMethod: method, authenticationData: step.data },
          }),
        );
      }
      return;
    case "refused":
      if (running.decide !== undefined) {
        refuseConnect(context, connection, {
          ok: false,
          code3: 5,
          reason: step.reason,
          reasonString: step.reasonString,
        });
      } else
        closeConnection(context, connection, step.reason, step.reasonString ?? "Re-authentication failed");
  }
}
