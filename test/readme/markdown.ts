// Reads fenced blocks and inline code out of a page of the documentation. Knows no other Markdown.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../", import.meta.url));

export interface Block {
  readonly language: string;
  readonly code: string;
  /** Of its opening fence. */
  readonly line: number;
}

export interface Program extends Block {
  /** The `text` block behind it, before the next program. */
  readonly output: string;
}

export function readPage(page: string): string {
  return readFileSync(join(root, page), "utf8");
}

export function blocksOf(page: string, language?: string): Block[] {
  const blocks: Block[] = [];
  let open: { language: string; line: number; lines: string[] } | undefined;
  for (const [index, text] of readPage(page).split("\n").entries()) {
    const fence = /^```(\w*)$/.exec(text);
    if (fence === null) open?.lines.push(text);
    else if (open === undefined) open = { language: fence[1], line: index + 1, lines: [] };
    else {
      blocks.push({ language: open.language, line: open.line, code: `${open.lines.join("\n")}\n` });
      open = undefined;
    }
  }
  if (open !== undefined) throw new Error(`${page}:${open.line}: the block has no end`);
  return language === undefined ? blocks : blocks.filter((block) => block.language === language);
}

/** Every JavaScript block; one without an output to compare with is an error. */
export function programsOf(page: string): Program[] {
  const blocks = blocksOf(page);
  return blocks.flatMap((block, index) => {
    if (block.language !== "js") return [];
    const rest = blocks.slice(index + 1);
    const next = rest.find(({ language }) => language === "js" || language === "text");
    if (next?.language !== "text") throw new Error(`${page}:${block.line}: what does the program print?`);
    return [{ ...block, output: next.code }];
  });
}

/** Texts between single backticks, outside of blocks. */
export function inlineCode(page: string): string[] {
  const prose = page.replace(/^```[\s\S]*?^```$/gm, "");
  return [...prose.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code);
}
