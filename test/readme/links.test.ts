// Links between the pages lead somewhere: to a file of the project, and to a heading of it where they name one.
import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";
import { readPage, root } from "./markdown.ts";

const pages = ["README.md", "CHANGELOG.md", "assembly/README.md", "bench/README.md"].concat(
  readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
);

/** A heading as the part of a link behind "#". */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");
}

function anchorsOf(page: string): string[] {
  const prose = readPage(page).replace(/^```[\s\S]*?^```$/gm, "");
  return [...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => anchor(heading));
}

test.each(pages)("the links of %s", (page) => {
  const prose = readPage(page).replace(/^```[\s\S]*?^```$/gm, "");
  for (const [, target] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    const [path, heading] = target.split("#");
    const file = path === "" ? join(root, page) : join(root, dirname(page), path);
    expect(existsSync(file), `${target} exists`).toBe(true);
    if (heading === undefined || statSync(file).isDirectory()) continue;
    expect(anchorsOf(relative(root, file)), target).toContain(heading);
  }
});

test("the index names every page", () => {
  const index = readPage("docs/README.md");
  for (const page of pages) {
    if (page.startsWith("docs/") && page !== "docs/README.md") expect(index).toContain(`(${page.slice(5)})`);
  }
});
