// Permission questions that wait until a test answers them, in any order.
import type { AccessHooks, PublishContext, PublishResult } from "../../src/access/hooked-policy.ts";
import { eventually } from "../support/server.ts";

export class Questions {
  readonly open: { topic: string; answer: (result: PublishResult) => void; fail: (error: Error) => void }[] =
    [];
  readonly hooks: AccessHooks;

  constructor(prefix = "ask/") {
    this.hooks = {
      authorizePublish: ({ topic }: PublishContext) =>
        topic.startsWith(prefix)
          ? new Promise((answer, fail) => this.open.push({ topic, answer, fail }))
          : undefined,
    };
  }

  async asked(count: number): Promise<void> {
    await eventually(() => this.open.length >= count, `${count} questions`);
  }
}
