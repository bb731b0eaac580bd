import page from '../../../../docs/use.md?raw';

export interface UsingProgram {
  /** Its language, as the page of documentation has it. */
  readonly name: string;
  /** What installs what it needs, and runs it. */
  readonly install: string;
  readonly code: string;
}

/** The programs of docs/use.md, which the tests run as they stand there: what the studio shows is what was run. */
export const PROGRAMS: readonly UsingProgram[] = page
  .split(/^## /m)
  .slice(1)
  .flatMap((section) => {
    const code = /^```[a-z#]+\n(.*?)^```$/ms.exec(section)?.[1]?.trimEnd();
    if (code === undefined) return [];
    const name = section.slice(0, section.indexOf('\n')).replace(/^The b/, 'B');
    const words = section.slice(0, section.indexOf('```'));
    const commands = [...words.matchAll(/`((?:npm|pip|dotnet|node|python) [^`]+)`/g)].map(
      ([, command]) => command ?? '',
    );
    return [{ name, install: commands.join('\n'), code }];
  });
