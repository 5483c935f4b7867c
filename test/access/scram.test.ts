import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { describe, expect, it } from "vitest";
import {
  createScramCredentials,
  createScramExchange,
  type ScramCredentials,
} from "../../src/access/scram.ts";

// RFC 7677, section 3.
const SALT = Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64");
const SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const CLIENT_FIRST = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST = `r=rOprNGfwEbeRWgbNEkqO${SERVER_NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`;
const CLIENT_FINAL = `c=biws,r=rOprNGfwEbeRWgbNEkqO${SERVER_NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`;
const SERVER_FINAL = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

const credentials = await createScramCredentials("pencil", SALT, 4096);

function exchange(known: { readonly [name: string]: ScramCredentials } = { user: credentials }) {
  return createScramExchange({
    lookup: (name) => (Object.hasOwn(known, name) ? known[name] : undefined),
    nonce: () => SERVER_NONCE,
    iterations: 4096,
  });
}
const text = (data: Uint8Array | undefined) => Buffer.from(data ?? []).toString();
const send = (message: string) => Buffer.from(message);

/** What an honest client answers. */
function clientFinal(clientFirstBare: string, serverFirst: string, password: string, header = "n,,"): string {
  const [, nonce, salt, iterations] = /^r=(.*),s=(.*),i=(.*)$/.exec(serverFirst)!;
  const salted = pbkdf2Sync(password, Buffer.from(salt, "base64"), Number(iterations), 32, "sha256");
  const clientKey = createHmac("sha256", salted).update("Client Key").digest();
  const withoutProof = `c=${Buffer.from(header).toString("base64")},r=${nonce}`;
  const signature = createHmac("sha256", createHash("sha256").update(clientKey).digest())
    .update(`${clientFirstBare},${serverFirst},${withoutProof}`)
    .digest();
  const proof = Buffer.from(clientKey.map((byte, i) => byte ^ signature[i]));
  return `${withoutProof},p=${proof.toString("base64")}`;
}

describe("SCRAM-SHA-256", () => {
  it("RFC 7677 example", async () => {
    const scram = exchange();
    const first = await scram.step(send(CLIENT_FIRST));
    expect(first).toMatchObject({ state: "continue" });
    expect(text((first as { data: Uint8Array }).data)).toBe(SERVER_FIRST);
    const final = await scram.step(send(CLIENT_FINAL));
    expect(final).toMatchObject({ state: "success", username: "user" });
    expect(text((final as { data: Uint8Array }).data)).toBe(SERVER_FINAL);
  });

  it("keeps nothing a client could sign in with", () => {
    const kept = JSON.stringify(
      Object.values(credentials).map((value) => Buffer.from(String(value)).toString()),
    );
    expect(kept).not.toContain("pencil");
    expect(Object.keys(credentials).sort()).toEqual(["iterations", "salt", "serverKey", "storedKey"]);
  });

  it.each([
    ["wrong password", "n=user,r=abc", "pencils", "n,,"],
    ["unknown user", "n=other,r=abc", "pencil", "n,,"],
  ])("refuses a %s with 0x87, at the end", async (_, bare, password, header) => {
    const scram = exchange();
    const first = await scram.step(send(header + bare));
    expect(first.state).toBe("continue");
    const serverFirst = text((first as { data: Uint8Array }).data);
    expect(await scram.step(send(clientFinal(bare, serverFirst, password, header)))).toEqual({
      state: "refused",
      reason: 0x87,
    });
  });

  it("shows an unknown user the same salt each time", async () => {
    const answers = await Promise.all([1, 2].map(() => exchange().step(send("n,,n=ghost,r=abc"))));
    const [a, b] = answers.map((step) => text((step as { data: Uint8Array }).data));
    expect(a).toBe(b);
    expect(a).toMatch(/,s=[A-Za-z0-9+/]{22}==,i=4096$/);
  });

  it("decodes =2C and =3D in names and accepts the flag y", async () => {
    const scram = exchange({ "a,b=c": credentials });
    const bare = "n=a=2Cb=3Dc,r=abc";
    const first = await scram.step(send(`y,,${bare}`));
    const final = clientFinal(bare, text((first as { data: Uint8Array }).data), "pencil", "y,,");
    expect(await scram.step(send(final))).toMatchObject({ state: "success", username: "a,b=c" });
  });

  it.each([
    ["another nonce", CLIENT_FINAL.replace("rOpr", "xOpr")],
    ["another channel binding", CLIENT_FINAL.replace("c=biws", "c=eSws")],
    ["a proof too short", CLIENT_FINAL.replace(/p=.*/, "p=AAAA")],
  ])("refuses %s", async (_, final) => {
    const scram = exchange();
    await scram.step(send(CLIENT_FIRST));
    expect(await scram.step(send(final))).toEqual({ state: "refused", reason: 0x87 });
  });

  it.each([
    "",
    "n,,n=user",
    "p=tls-unique,,n=user,r=abc",
    "n,,m=ext,n=user,r=abc",
    "n,a=admin,n=user,r=abc",
    "n,,n=us=er,r=abc",
    `n,,n=${"u".repeat(5_000)},r=abc`,
  ])("refuses the malformed client-first-message %#", async (message) => {
    expect(await exchange().step(send(message))).toMatchObject({ state: "refused", reason: 0x82 });
  });

  it("refuses a malformed client-final-message, and every message behind the end", async () => {
    const scram = exchange();
    await scram.step(send(CLIENT_FIRST));
    expect(await scram.step(undefined)).toMatchObject({ state: "refused", reason: 0x82 });
    expect(await scram.step(send(CLIENT_FINAL))).toMatchObject({ state: "refused", reason: 0x82 });
  });
});
