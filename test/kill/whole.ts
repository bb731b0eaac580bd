import { readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { parse as parseCsv } from 'csv-parse/sync';
import { parse as parseYaml } from 'yaml';
import { messageOf } from '../../src/errors.js';
import { readModel } from '../../src/onnx/model.js';
import { readSafetensors } from '../../src/onnx/safetensors.js';
import { below } from './place.js';

/** The files below `folder` that their readers would refuse, and why. Those that are still to be renamed do not count. */
export function damagedIn(folder: string): string[] {
  return below(folder).flatMap((name) => {
    const path = join(folder, name);
    if (name.includes('.partial') || !statSync(path).isFile()) return [];
    try {
      check(path);
      return [];
    } catch (thrown) {
      return [`${name} is damaged: ${messageOf(thrown)}`];
    }
  });
}

function check(path: string): void {
  const text = () => readFileSync(path, 'utf8');
  switch (extname(path)) {
    case '.onnx':
      readModel(path);
      break;
    case '.safetensors':
      readSafetensors(path);
      break;
    case '.json':
      JSON.parse(text());
      break;
    case '.jsonl':
      for (const line of text().split('\n').slice(0, -1)) JSON.parse(line);
      expectEnd(text(), ['\n', '']);
      break;
    case '.csv':
      // It refuses lines of other lengths than the first.
      if (parseCsv(text()).length === 0) throw new Error('it is empty');
      break;
    case '.yaml':
      parseYaml(text());
      expectEnd(text(), ['\n']);
      break;
    case '.html':
      expectEnd(text().trimEnd(), ['</html>']);
      break;
    case '.svg':
      expectEnd(text().trimEnd(), ['</svg>']);
      break;
    case '.txt':
    case '.md':
      expectEnd(text(), ['\n']);
      break;
    case '.jpg':
      expectEnd(readFileSync(path, 'latin1'), ['\xff\xd9']);
      break;
    case '.png':
      // The last chunk with its checksum (https://www.w3.org/TR/png-3/#11IEND).
      expectEnd(readFileSync(path, 'latin1'), ['IEND\xae\x42\x60\x82']);
      break;
  }
}

function expectEnd(text: string, ends: readonly string[]): void {
  const isWhole = ends.some((end) => (end === '' ? text === '' : text.endsWith(end)));
  if (!isWhole) throw new Error(`it ends in ${JSON.stringify(text.slice(-20))}`);
}
