// Texts that services of the platform keep: shadows, tags, versions, what will come. Named by kind and key, on the table of
// the registry, so they are flushed when a promise resolves and change together or not at all. Knows no content.
import { documentKey, documentsPrefix } from "./keys.ts";
import type { Changes, Draft, Table } from "./table.ts";

export interface Document {
  readonly key: string;
  readonly text: string;
}

/** Reads through what it has changed itself. */
export interface DocumentDraft {
  get(kind: string, key: string): string | undefined;
  /** undefined removes. */
  set(kind: string, key: string, text: string | undefined): void;
}

export class Documents {
  readonly #table: Table;
  readonly #changes: Changes;

  constructor(table: Table, changes: Changes) {
    this.#table = table;
    this.#changes = changes;
  }

  get(kind: string, key: string): string | undefined {
    return this.#table.get(documentKey(kind, key));
  }

  /** undefined removes. Resolves when it is kept; rejects with OperationError REGISTRY_WRITE. */
  set(kind: string, key: string, text: string | undefined): Promise<void> {
    return this.edit((draft) => draft.set(kind, key, text));
  }

  /** `work` reads and writes as one step, after every change asked for before it; throwing leaves nothing of it. */
  edit<T>(work: (draft: DocumentDraft) => T): Promise<T> {
    return this.#changes.make(
      (draft) => work(draftOf(draft)),
      () => {},
    );
  }

  /** Documents of a kind whose key begins with `prefix`, in order, behind the key `after`. */
  page(kind: string, prefix: string, after: string | undefined, limit: number): readonly Document[] {
    const start = documentsPrefix(kind);
    const behind = after === undefined ? undefined : `${start}${after}`;
    return this.#table
      .page(`${start}${prefix}`, behind, limit)
      .map(({ key, value }) => ({ key: key.slice(start.length), text: value }));
  }
}

function draftOf(draft: Draft): DocumentDraft {
  return {
    get: (kind, key) => draft.get(documentKey(kind, key)),
    set: (kind, key, text) => {
      if (text === undefined) draft.remove(documentKey(kind, key));
      else draft.put(documentKey(kind, key), text);
    },
  };
}
