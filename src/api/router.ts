// Which handler answers which request, by method and exact path. Knows no socket and no HTTP library: a request is its
// parts, an answer is a status and a JSON value.

export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Buffer;
  readonly headers: { readonly [name: string]: string | string[] | undefined };
  readonly remoteAddress: string;
}

export interface ApiAnswer {
  /** Default 200. */
  readonly status?: number;
  readonly json: unknown;
}

export type Handler = (request: ApiRequest) => ApiAnswer | Promise<ApiAnswer>;

export class Router {
  readonly #handlers = new Map<string, Map<string, Handler>>();

  on(method: string, path: string, handler: Handler): this {
    const methods = this.#handlers.get(path) ?? new Map<string, Handler>();
    this.#handlers.set(path, methods.set(method, handler));
    return this;
  }

  /** The handler, or the status of an answer: 404, 405. */
  find(method: string, path: string): Handler | 404 | 405 {
    const methods = this.#handlers.get(path);
    if (methods === undefined) return 404;
    return methods.get(method) ?? 405;
  }
}

/** Fields of a form, each once; undefined where one stands twice or there are too many. */
export function formFields({ body }: ApiRequest, most: number): ReadonlyMap<string, string> | undefined {
  const fields = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(body.toString("utf8"))) {
    if (fields.has(name) || fields.size >= most) return undefined;
    fields.set(name, value);
  }
  return fields;
}
