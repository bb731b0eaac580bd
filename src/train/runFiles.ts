import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { FILES } from '../artifacts/artifactFiles.js';
import { readManifest } from '../artifacts/load.js';
import { UserError } from '../errors.js';
import {
  fileErrorCode,
  isFolderItself,
  isSameFile,
  makeFolderSync,
  removeIfEmpty,
  writeFailed,
  writeFileAtomically,
} from '../files.js';
import { refuseForeign } from '../foreignFiles.js';
import { FLOAT_MODEL } from '../hub/resolveModel.js';
import { isLocked, lockFolder } from '../lock.js';
import { isMarked, isOwnFolder, mark, markerIn, removeMarkedSync } from '../marker.js';
import { readSafetensors } from '../onnx/safetensors.js';

const BEST = join('best', FILES.checkpoint);
const LAST = join('last', FILES.checkpoint);
const EVENTS = 'events.jsonl';

/** What a run has learned: a new run in its folder would destroy the first. */
const LEARNED = ['model.onnx', FLOAT_MODEL, BEST, LAST];
const ARTIFACTS = Object.values(FILES).map((name) => join('artifacts', name));
/** All that a run writes, below its folder; event files for TensorBoard, which have the time in their names, come on top. */
const RUN_FILES = [
  ...LEARNED,
  // Best weights of which last/ does not tell yet.
  join('best', 'next.safetensors'),
  ...['labels.txt', 'results.csv', 'summary.json', 'curves.svg', 'confusion.svg', 'mistakes.html', 'predictions.csv'],
  ...['skipped.csv', 'learning-rate.svg', EVENTS, 'args.yaml', 'recommendation.json', 'README.md'],
  ...ARTIFACTS,
];
const TENSORBOARD_FILE = /^events\.out\.tfevents\.\d+\.ort-tl$/;
/** What is being written lies beside its target. */
const PARTIAL = /\.[0-9a-f]{8}\.partial$/;

/** Where a new run is written, inside of the folder of the run that it is to replace. */
const NEXT = '.ort-tl-next';
/** In there: what is to be done so that the new run takes the old one's place. Whoever finds it does the rest of that. */
const PLAN = '.ort-tl-plan.json';
// A folder may come from anywhere, and its plan may name anything.
const runFile = z.string().refine(isRunFile);
const planSchema = z.object({
  /** Files of the old run that the new one does not have, and files that the new one has. */
  remove: z.array(runFile),
  move: z.array(runFile),
});
type Plan = z.infer<typeof planSchema>;

function isRunFile(name: string): boolean {
  return RUN_FILES.includes(name) || TENSORBOARD_FILE.test(name);
}

/** Files of a run that are there, as paths below its folder. */
export function runFilesIn(folder: string): string[] {
  const events = entriesOf(folder).filter((name) => TENSORBOARD_FILE.test(name));
  return [...RUN_FILES, ...events].filter((name) => existsSync(join(folder, name)));
}

/** Whether ort-tl trained in this folder: it says so, or, of a version that did not mark its runs, has what nothing else writes. */
export function isRun(folder: string): boolean {
  return isMarked(folder, 'run') || isCheckpoint(folder) || isLog(join(folder, EVENTS));
}

function isCheckpoint(folder: string): boolean {
  const metadataOf = (name: string): Readonly<Record<string, string>> => {
    try {
      return readSafetensors(join(folder, name)).metadata;
    } catch (thrown) {
      if (thrown instanceof UserError) return {};
      throw thrown;
    }
  };
  const [best, last] = [BEST, LAST].map(metadataOf);
  return ['epoch', 'source'].every((key) => best?.[key] !== undefined) || last?.['progress'] !== undefined;
}

const compiledSchema = z.object({ time: z.iso.datetime(), type: z.literal('compiled'), manifest: z.looseObject({}) });

function isLog(path: string): boolean {
  try {
    const [line = ''] = readFileSync(path, 'utf8').split('\n', 1);
    return compiledSchema.safeParse(JSON.parse(line)).success;
  } catch {
    return false;
  }
}

/** What is in the way of a run in `folder`, which is none yet: files by the names of a run's that ort-tl did not write. */
function foreignFiles(folder: string): string[] {
  const compiled = isCompiled(join(folder, 'artifacts')) ? ARTIFACTS : [];
  return runFilesIn(folder).filter((name) => {
    // A training that was killed at its very beginning leaves artifacts and a log without a line.
    const isBegun = name === EVENTS && statSync(join(folder, name)).size === 0;
    return !compiled.includes(name) && !isBegun;
  });
}

function isCompiled(folder: string): boolean {
  try {
    readManifest(folder);
    return true;
  } catch {
    return false;
  }
}

/** Whether the run in `folder` has learned something. */
export const hasLearned = (folder: string): boolean => LEARNED.some((name) => existsSync(join(folder, name)));

/**
 * Looks whether a new run may be written in `folder`.
 * @throws UserError `run-exists` when it holds what an earlier run has learned, unless that may be replaced; `foreign-files` when files
 * lie there that a run would replace, and no run wrote them.
 */
export function checkRunFolder(folder: string, { overwrite = false }: { readonly overwrite?: boolean } = {}): void {
  if (!isRun(folder)) {
    refuseForeign(folder, foreignFiles(folder), 'a run');
    return;
  }
  const learned = LEARNED.find((name) => existsSync(join(folder, name)));
  if (learned === undefined || overwrite) return;
  const goesOn = existsSync(join(folder, LAST)) ? `go on with it (‹resume› ${folder}), ` : '';
  const shown = dirname(learned) === '.' ? learned : dirname(learned);
  throw new UserError(
    'run-exists',
    `${folder} holds a run already (${shown}); ${goesOn}choose another folder (‹out›), or have it replaced (‹overwrite›)`,
  );
}

/** @throws UserError `bad-arguments` when `path`, which a new run begins with, is a file of the run that it would replace. */
export function checkSource(folder: string, path: string): void {
  if (runFilesIn(folder).some((name) => isSameFile(join(folder, name), path)))
    throw new UserError(
      'bad-arguments',
      `${path} is of the run in ${folder}, which a new run there would replace; choose another folder (‹out›)`,
    );
}

/** Removes what a killed process was writing of a run. */
export function removePartials(folder: string): void {
  const folders = new Set(RUN_FILES.map((name) => dirname(name)));
  for (const below of folders)
    for (const name of entriesOf(join(folder, below))) {
      const target = join(below, name.replace(PARTIAL, ''));
      if (PARTIAL.test(name) && isRunFile(target)) rmSync(join(folder, below, name), { force: true });
    }
}

/** Makes the folder for a new run inside of the one of the run that it is to replace. */
export function makeNext(folder: string): string {
  const next = join(folder, NEXT);
  mkdirSync(next);
  mark(next, 'next-run');
  return next;
}

/** Removes a new run that did not come to replace the old one. */
export function removeNext(folder: string): void {
  const next = join(folder, NEXT);
  // Where the process was killed while it made the folder, there is no more in it than a part of the marker.
  const isBegun = () => entriesOf(next).every((name) => join(next, name) === markerIn(next, 'next-run'));
  if (isFolderItself(next) && (isMarked(next, 'next-run') || isBegun())) removeMarkedSync(next, 'next-run');
}

/** Decides that the new run takes the old one's place: {@link settleLocked} carries it out, and whoever comes next if that is cut off. */
export async function planNext(folder: string): Promise<void> {
  const next = join(folder, NEXT);
  await writeFileAtomically(join(next, PLAN), JSON.stringify(planFor(next, folder, 'next-run')));
}

/**
 * Moves the run in `from` to `folder`, in place of the run that is there.
 * @throws UserError `foreign-files` when what is there is no run, `write-failed`.
 */
export function moveRun(from: string, folder: string): void {
  checkRunFolder(folder, { overwrite: true });
  try {
    makeFolderSync(dirname(folder));
    if (!existsSync(folder)) {
      renameSync(from, folder);
      return;
    }
  } catch (cause) {
    throw writeFailed(folder, cause);
  }
  carryOut(planFor(from, folder, 'run'), from, folder);
}

function planFor(from: string, folder: string, purpose: 'run' | 'next-run'): Plan {
  const move = filesBelow(from).filter((name) => join(from, name) !== markerIn(from, purpose));
  const unknown = move.find((name) => !isRunFile(name));
  if (unknown !== undefined) throw new Error(`${unknown} is not listed among the files of a run`);
  return { move, remove: runFilesIn(folder).filter((name) => !move.includes(name)) };
}

/**
 * Sees to a run that was being replaced when the process was killed: there is the old run or the new one afterwards. A folder that
 * another process has, or that holds no such run, stays as it is.
 * @throws UserError `write-failed`.
 */
export function settleRun(folder: string): void {
  if (!planOf(folder) || isLocked(folder)) return;
  const lock = lockFolder(folder, 'putting a run in its place');
  try {
    settleLocked(folder);
  } finally {
    lock.release();
  }
}

/** Does what {@link settleRun} does, for who has locked the folder; also removes a new run that had nothing to show yet. */
export function settleLocked(folder: string): void {
  const plan = planOf(folder);
  if (plan) carryOut(plan, join(folder, NEXT), folder);
  removeNext(folder);
}

function planOf(folder: string): Plan | undefined {
  const next = join(folder, NEXT);
  if (!isOwnFolder(next, 'next-run')) return undefined;
  try {
    return planSchema.parse(JSON.parse(readFileSync(join(next, PLAN), 'utf8')));
  } catch {
    return undefined;
  }
}

/** Every step may have been done before. */
function carryOut({ remove, move }: Plan, from: string, folder: string): void {
  try {
    for (const name of remove) rmSync(join(folder, name), { force: true });
    makeFolderSync(folder);
    for (const name of move) {
      if (!existsSync(join(from, name))) continue;
      makeFolderSync(join(folder, dirname(name)));
      moveFile(join(from, name), join(folder, name));
    }
    for (const name of new Set([...remove, ...move].map((each) => dirname(each))))
      if (name !== '.') removeIfEmpty(join(folder, name));
    if (!isMarked(folder, 'run')) mark(folder, 'run');
    rmSync(from, { recursive: true, force: true, maxRetries: 3 });
  } catch (cause) {
    throw writeFailed(folder, cause);
  }
}

function moveFile(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (thrown) {
    if (fileErrorCode(thrown) !== 'EXDEV') throw thrown;
    copyFileSync(from, to);
    rmSync(from);
  }
}

/** Paths of all files below a folder of ours, as seen from it. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
