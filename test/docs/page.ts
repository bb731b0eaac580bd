/** Something of a page that stands in a fence, or is indented as code. */
export interface Block {
  /** What the fence says it is; `indented` where there is none. */
  readonly language: string;
  readonly lines: readonly string[];
  /** Of the page, from 1 on. */
  readonly line: number;
}

export interface Command {
  readonly source: string;
  readonly exitCode: number;
}

/** The code of a Markdown page, in order; a fence inside a list is one too. */
export function blocksOf(page: string): Block[] {
  const blocks: Block[] = [];
  let fence: { language: string; indent: number; lines: string[]; line: number } | undefined;
  let indented: { lines: string[]; line: number } | undefined;
  const endIndented = () => {
    if (indented) blocks.push({ language: 'indented', ...indented });
    indented = undefined;
  };
  page.split('\n').forEach((text, index) => {
    const mark = /^( *)```(\w*)$/.exec(text);
    if (fence) {
      if (mark) {
        blocks.push({ language: fence.language, lines: fence.lines, line: fence.line });
        fence = undefined;
      } else fence.lines.push(text.slice(Math.min(fence.indent, text.search(/\S|$/))));
      return;
    }
    if (mark) {
      endIndented();
      fence = { language: mark[2] ?? '', indent: (mark[1] ?? '').length, lines: [], line: index + 1 };
    } else if (/^ {4}\S/.test(text)) {
      indented ??= { lines: [], line: index + 1 };
      indented.lines.push(text.slice(4));
    } else if (text.trim() !== '') endIndented();
  });
  endIndented();
  return blocks;
}

/** The commands of a block, a line each or several that end in a backslash; `# exits with 2` tells of another code than 0. */
export function commandsOf({ lines }: Block): Command[] {
  const commands: Command[] = [];
  let open = '';
  for (const line of lines) {
    if (open === '' && (line.trim() === '' || line.startsWith('#'))) continue;
    if (line.endsWith('\\')) {
      open += `${line.slice(0, -1)} `;
      continue;
    }
    const source = open + line;
    open = '';
    commands.push({ source, exitCode: Number(/# exits with (\d+)$/.exec(source)?.[1] ?? 0) });
  }
  return commands;
}

/** Lines with every number, duration and size as a placeholder, so that another machine's are the same; blank ones left out. */
function withoutNumbers(text: string): string[] {
  return text
    .split('\n')
    .map((line) =>
      line
        .replaceAll(/\b\d+ min \d+ s\b|\b[\d,.]+ (?:ms|s)\b/g, '<time>')
        .replaceAll(/\b[\d,.]+ (?:kB|MB|GB)\b/g, '<bytes>')
        .replaceAll(/\d(?:[\d,.]*\d)?(?:e[+-]?\d+)?/g, '<n>')
        .replaceAll(/\s+/g, ' ')
        .trim(),
    )
    .filter((line) => line !== '');
}

/**
 * The first line of `expected` that `actual` lacks where it should stand; `…` stands for any lines, and within a line for any
 * characters. undefined when all fit.
 */
export function firstMissing(expected: string, actual: string): string | undefined {
  const lines = withoutNumbers(actual);
  const fits = (pattern: string, line: string | undefined) =>
    line !== undefined && new RegExp(`^${pattern.split('…').map(escaped).join('.*')}$`).test(line);
  let at = 0;
  let anywhere = false;
  for (const line of withoutNumbers(expected)) {
    if (line === '…') {
      anywhere = true;
      continue;
    }
    const found = anywhere
      ? lines.findIndex((each, index) => index >= at && fits(line, each))
      : fits(line, lines[at])
        ? at
        : -1;
    if (found < 0) return line;
    at = found + 1;
    anywhere = false;
  }
  return anywhere || at === lines.length ? undefined : `the end, in place of ${lines[at] ?? ''}`;
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
