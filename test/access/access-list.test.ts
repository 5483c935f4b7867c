import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AccessList } from "../../src/access/access-list.ts";
import { ConfigError, OperationError } from "../../src/errors.ts";

const LIST = `
# everybody
topic read news/#
topic write in/+

user alice
topic readwrite home/#
topic deny home/vault/#
topic plain both

pattern readwrite devices/%c/#
user bob
topic read $SYS/#
pattern read users/%u/inbox
topic deny news/secret
`.replace("topic plain both\n", "topic both\n");

const list = AccessList.parse(LIST, "acl");
const nobody = { clientId: "c9", username: undefined };
const alice = { clientId: "c1", username: "alice" };
const bob = { clientId: "c2", username: "bob" };

describe("access list: publish", () => {
  it("lets everybody use the rules before the first user line", () => {
    for (const who of [nobody, alice, bob]) {
      expect(list.mayPublish(who, "in/x")).toBe(true);
      expect(list.mayPublish(who, "news/x")).toBe(false);
    }
  });
  it("refuses what no rule grants", () => {
    expect(list.mayPublish(nobody, "home/lamp")).toBe(false);
    expect(list.mayPublish(bob, "home/lamp")).toBe(false);
    expect(list.mayPublish(alice, "home/lamp")).toBe(true);
  });
  it("lets deny win over a wider grant", () => {
    expect(list.mayPublish(alice, "home/vault/door")).toBe(false);
    expect(list.mayPublish(alice, "home/vault")).toBe(false);
  });
  it("takes a topic line without a right as readwrite", () => {
    expect(list.mayPublish(alice, "both")).toBe(true);
    expect(list.maySubscribe(alice, "both")).toBe(true);
  });
});

describe("access list: subscribe", () => {
  it("needs one grant that covers the whole filter", () => {
    expect(list.maySubscribe(nobody, "news/#")).toBe(true);
    expect(list.maySubscribe(nobody, "news/+/x")).toBe(true);
    expect(list.maySubscribe(nobody, "#")).toBe(false);
    expect(list.maySubscribe(nobody, "+/x")).toBe(false);
  });
  it("refuses a filter that could match anything denied", () => {
    expect(list.maySubscribe(alice, "home/#")).toBe(false);
    expect(list.maySubscribe(alice, "home/+/door")).toBe(false);
    expect(list.maySubscribe(alice, "home/lamp/#")).toBe(true);
    expect(list.maySubscribe(bob, "news/#")).toBe(false);
    expect(list.maySubscribe(bob, "news/x")).toBe(true);
  });
  it("gives $SYS only to those it is granted to; # does not include it", () => {
    expect(list.maySubscribe(bob, "$SYS/#")).toBe(true);
    expect(list.maySubscribe(alice, "$SYS/#")).toBe(false);
    const all = AccessList.parse("topic #", "acl");
    expect(all.maySubscribe(nobody, "#")).toBe(true);
    expect(all.maySubscribe(nobody, "$SYS/broker/uptime")).toBe(false);
  });
  it("judges a topic for replay by topic, not by filter", () => {
    expect(list.mayReceive(alice, "home/lamp")).toBe(true);
    expect(list.mayReceive(alice, "home/vault/door")).toBe(false);
    expect(list.mayReceive(nobody, "in/x")).toBe(false);
  });
});

describe("access list: patterns", () => {
  it("puts in client id and user name, wherever the line stands", () => {
    expect(list.mayPublish(nobody, "devices/c9/state")).toBe(true);
    expect(list.mayPublish(nobody, "devices/c1/state")).toBe(false);
    expect(list.maySubscribe(alice, "users/alice/inbox")).toBe(true);
    expect(list.maySubscribe(alice, "users/bob/inbox")).toBe(false);
    expect(list.maySubscribe(nobody, "users/+/inbox")).toBe(false);
    expect(list.maySubscribe(nobody, "users//inbox")).toBe(false);
  });
  it.each(["+", "#", "a/b", "x+", "c1/#"])("grants nothing to the client id %s", (clientId) => {
    const who = { clientId, username: undefined };
    for (const topic of ["devices/c1/x", "devices/a/b/x", `devices/${clientId}/x`]) {
      expect(list.mayPublish(who, topic)).toBe(false);
      expect(list.maySubscribe(who, topic)).toBe(false);
      expect(list.mayReceive(who, topic)).toBe(false);
    }
  });
  it.each(["+", "#", "a/b"])("grants nothing to the user name %s", (username) => {
    expect(list.maySubscribe({ clientId: "c", username }, "users/alice/inbox")).toBe(false);
    expect(list.maySubscribe({ clientId: "c", username }, `users/${username}/inbox`)).toBe(false);
  });
  it("does not let a name become a $ topic", () => {
    const open = AccessList.parse("pattern readwrite %u/#", "acl");
    expect(open.maySubscribe({ clientId: "c", username: "eve" }, "eve/#")).toBe(true);
    expect(open.maySubscribe({ clientId: "c", username: "$SYS" }, "$SYS/#")).toBe(false);
  });
  it("a name that fits no deny pattern denies more, not less", () => {
    const denying = AccessList.parse("topic readwrite devices/#\npattern deny devices/%c/secret", "acl");
    expect(denying.mayPublish({ clientId: "a", username: undefined }, "devices/a/secret")).toBe(false);
    expect(denying.mayPublish({ clientId: "a", username: undefined }, "devices/a/state")).toBe(true);
    expect(denying.mayPublish({ clientId: "a/b", username: undefined }, "devices/a/b/secret")).toBe(false);
    expect(denying.maySubscribe({ clientId: "+", username: undefined }, "devices/a/secret")).toBe(false);
  });
  it("a deny pattern with %u leaves anonymous clients alone", () => {
    const denying = AccessList.parse("topic read u/#\npattern deny u/%u/x", "acl");
    expect(denying.maySubscribe(nobody, "u/#")).toBe(true);
    expect(denying.maySubscribe(alice, "u/#")).toBe(false);
  });
});

describe("access list: errors name file, line and remedy", () => {
  it.each([
    ["topic read a\ntopics b", /acl:2: "topics" is not known: a line begins with user/],
    ["user", /acl:1: a user line needs a name/],
    ["topic", /acl:1: a filter is missing/],
    ["topic read", /acl:1: a filter is missing after "read"/],
    ["topic rw a/b", /acl:1: "rw" is no right: use read, write/],
    ["topic a\u2028b", /acl:1: "a" is no right/],
    ["\n\ntopic read a/#/b", /acl:3: "a\/#\/b" is no Topic Filter/],
    ["topic read x/%c", /acl:1: .* write `pattern read x\/%c`/],
  ])("%j", (text, message) => {
    expect(() => AccessList.parse(text, "acl")).toThrow(ConfigError);
    expect(() => AccessList.parse(text, "acl")).toThrow(message);
  });
  it("takes a filter with blanks behind its right", () => {
    const blanks = AccessList.parse("topic read my house/#\r\n", "acl");
    expect(blanks.maySubscribe(nobody, "my house/lamp")).toBe(true);
  });
});

describe("access list: file", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "millrace-acl-"));
  });
  afterAll(() => rm(directory, { recursive: true }));

  it("loads, and tells an unreadable file from a bad one", async () => {
    const path = join(directory, "acl");
    await expect(AccessList.load(path)).rejects.toThrow(OperationError);
    await writeFile(path, "nonsense");
    await expect(AccessList.load(path)).rejects.toThrow(ConfigError);
    await writeFile(path, "topic read a");
    expect((await AccessList.load(path)).maySubscribe(nobody, "a")).toBe(true);
  });
});
