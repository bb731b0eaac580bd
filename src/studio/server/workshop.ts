import { mkdirSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import {
  knownModels,
  type ModelFile,
  packageVersion,
  policyFileName,
  readModel,
  resolveModel,
  resultOf,
} from '../../index.js';
import { fileErrorCode, makeFolderSync, removeIfEmpty, writeFailed } from '../../files.js';
import { timestamp } from '../../text.js';
import type { Cost, Emptied, Job, JobRequest, Predictions, Project, StudioChoices, Tried } from '../api.js';
import { commandOf } from './commandOf.js';
import { Costs } from './costs.js';
import type { EventHub } from './eventHub.js';
import { Exports } from './exports.js';
import { Jobs } from './jobs.js';
import { KeptRecommendation } from './keptRecommendation.js';
import { lineOf } from './lineOf.js';
import { LiveTraining } from './liveTraining.js';
import { cellOf, Look, type LookedAt, predictionsOf, triedOf } from './look.js';
import type { PhotoFolder } from './photoFolder.js';
import type { Looking } from './routes/lookRoutes.js';
import { addEnergy, type RunEnergy } from './runEnergy.js';
import { Runs } from './runs.js';
import type { StudioSettings } from './studioSettings.js';

/** How the page calls the head that is trained as photos come, where it could name a run. */
const LIVE = 'live';
/** How often the runs are looked at, while somebody looks at the page. */
const RUNS_EVERY_MS = 3000;

export interface WorkshopOptions {
  readonly photos: PhotoFolder;
  /** Folder of the runs. */
  readonly runs: string;
  readonly settings: StudioSettings;
  readonly events: EventHub;
  /** Folder of the feature cache. */
  readonly cache?: string;
}

/** What is done with the photos: heads as they come, jobs, runs, and looking at what was learned. */
export class Workshop implements Looking {
  readonly jobs: Jobs;
  readonly runs: Runs;
  readonly exports: Exports;
  private readonly live: LiveTraining;
  private readonly look = new Look();
  private readonly costs: Costs;
  private readonly recommended: KeptRecommendation;
  private readonly timer: NodeJS.Timeout;
  private readonly forget: () => void;
  /** The model that was read last. */
  private read: { readonly name: string; readonly model: Promise<ModelFile> } | undefined;

  constructor(private readonly options: WorkshopOptions) {
    const { photos, runs, events, cache } = options;
    this.runs = new Runs(runs);
    this.recommended = new KeptRecommendation(runs);
    this.exports = new Exports(join(runs, 'exports'));
    this.jobs = new Jobs({
      commandOf: (request) => this.commandOf(request),
      describeExport: (out) => this.exports.describe(out),
      onChange: (jobs) => {
        events.publish({ type: 'jobs', jobs });
      },
      onEnd: (job, energy) => void this.keepWhatCame(job, energy),
    });
    this.live = new LiveTraining({
      openModel: (name) => this.modelCalled(name),
      openDataset: () => Promise.resolve(photos.dataset),
      onChange: (live) => {
        events.publish({ type: 'live', live });
      },
      ...(cache === undefined ? {} : { cache }),
    });
    this.costs = new Costs(this.runs, (model) => this.frozenRate(model));
    this.forget = photos.onChange(() => {
      this.tellProject();
      this.live.ask();
    });
    this.timer = setInterval(() => {
      if (events.size > 0) void this.refreshRuns();
    }, RUNS_EVERY_MS);
    this.timer.unref();
  }

  /** Begins with what is there. */
  async begin(): Promise<void> {
    await Promise.all([this.runs.refresh(), this.recommended.open()]);
    this.tellRuns();
    this.tellProject();
    this.options.events.publish({ type: 'jobs', jobs: [] });
    this.options.events.publish({ type: 'live', live: this.live.live });
    this.trainLive();
  }

  get project(): Project {
    const { photos, settings } = this.options;
    const { problem, warnings } = photos;
    const { last: recommended } = this.recommended;
    return {
      data: photos.folder,
      runs: this.runs.folder,
      version: packageVersion,
      settings: settings.current,
      models: [
        ...knownModels().map(({ name }) => name),
        ...this.runs.list.map(({ name }) => join(this.runs.folder, name)),
      ],
      classes: photos.classes,
      revision: photos.revision,
      bin: photos.bin,
      binBytes: photos.binBytes + this.runs.binBytes,
      ...(problem ? { problem: lineOf(problem) } : {}),
      ...(warnings.length > 0 ? { warnings } : {}),
      ...(recommended ? { recommended } : {}),
    };
  }

  /** Changes what was chosen; a model is looked for first. @throws UserError as {@link resolveModel} does. */
  async change(change: Partial<StudioChoices>): Promise<StudioChoices> {
    const { settings } = this.options;
    if (change.model !== undefined) await this.modelCalled(change.model);
    const changed = await settings.change(change);
    this.trainLive();
    this.tellProject();
    return changed;
  }

  /** What a training by a policy would cost here. @throws UserError for a policy that does not fit. */
  async cost(policy: string): Promise<Cost> {
    const { photos, settings } = this.options;
    const model = await this.modelCalled(settings.current.model);
    const count = photos.classes.reduce((sum, each) => sum + each.photos - each.validate - each.test, 0);
    return this.costs.of(model, policy, { classes: Math.max(2, photos.classes.length), photos: count });
  }

  async predictions(of: string): Promise<Predictions> {
    const { photos } = this.options;
    if (of !== LIVE) return predictionsOf(this.runs.find(of), this.photosByCell());
    const { classes = [], predictions = [] } = this.live.result ?? {};
    return {
      classes,
      photos: predictions.flatMap(({ photo, label, predicted, probability }) => {
        const found = photos.find(relative(photos.folder, photo.path).split(sep).join('/'));
        return found ? [{ path: found.path, stamp: found.stamp, label, predicted, probability }] : [];
      }),
    };
  }

  async tryPhoto(of: string, photo: Buffer, wantsHeat: boolean): Promise<Tried> {
    const began = performance.now();
    const scored =
      of === LIVE ? await this.live.classify(photo) : await this.look.classify(of, () => this.modelOf(of), photo);
    const elapsedMs = performance.now() - began;
    if (!wantsHeat) return triedOf(scored, elapsedMs);
    const picture = await this.look.explain(of, () => this.modelOf(of), photo);
    return { ...triedOf(scored, elapsedMs), heatMap: `data:image/png;base64,${picture.toString('base64')}` };
  }

  async heatMap(of: string, path: string): Promise<Buffer> {
    const { path: file } = await this.options.photos.fileOf(path);
    return this.look.explain(of, () => this.modelOf(of), file);
  }

  /** Removes for good what was deleted, photos and runs. @throws UserError `write-failed`. */
  async emptyBin(): Promise<Emptied> {
    const bytes = (await this.options.photos.emptyBin()) + (await this.runs.emptyBin());
    this.tellProject();
    return { bytes };
  }

  /** Runs have changed by what was asked here. */
  tellRuns(): void {
    const busy = new Set(
      this.jobs.list.flatMap(({ state, run }) => (state === 'running' || state === 'stopping' ? (run ?? []) : [])),
    );
    const runs = this.runs.list.map((run) => (busy.has(run.name) ? { ...run, stopped: false } : run));
    this.options.events.publish({ type: 'runs', runs });
  }

  /** Stops what runs, and waits until it has saved. */
  async close(): Promise<void> {
    clearInterval(this.timer);
    this.forget();
    await Promise.all([this.jobs.close(), this.live.close(), this.look.close()]);
  }

  private async keepWhatCame(job: Job, energy: RunEnergy | undefined): Promise<void> {
    await Promise.all([this.settle(job, energy), this.recommended.keep(job)]);
    if (job.recommendation) this.tellProject();
    await this.refreshRuns();
  }

  private async settle({ kind, run, state }: Job, energy: RunEnergy | undefined): Promise<void> {
    if (run === undefined) return;
    const folder = join(this.runs.folder, run);
    // One that came to nothing leaves none.
    removeIfEmpty(folder);
    if (energy && state !== 'failed') await addEnergy(folder, energy, kind === 'resume').catch(() => undefined);
  }

  private async refreshRuns(): Promise<void> {
    if (await this.runs.refresh()) this.tellProject();
    this.tellRuns();
  }

  tellProject(): void {
    this.options.events.publish({ type: 'project', project: this.project });
  }

  private trainLive(): void {
    const { model, live } = this.options.settings.current;
    this.live.use(live ? model : undefined);
  }

  private commandOf(request: JobRequest): string[] {
    const { photos, settings } = this.options;
    if (request.kind === 'resume' || request.kind === 'export') this.runs.find(request.run);
    return commandOf(request, {
      model: settings.current.model,
      data: photos.folder,
      runFolder: (name) => join(this.runs.folder, name),
      newRun: (policy) => this.newRun(`${timestamp(new Date())}-${policyFileName(policy)}`),
      exportPath: (run, form) => this.exports.pathOf(run, form),
    });
  }

  /** Makes the folder of a new run, which nobody else has then, be it another studio. @throws UserError `write-failed`. */
  private newRun(name: string): string {
    const { folder } = this.runs;
    try {
      makeFolderSync(folder);
      for (let number = 1; ; number++) {
        const own = join(folder, number === 1 ? name : `${name}-${number}`);
        if (isMadeAnew(own)) return own;
      }
    } catch (cause) {
      throw writeFailed(folder, cause);
    }
  }

  private async modelOf(of: string): Promise<LookedAt> {
    if (of === LIVE) return this.live.modelFile();
    const path = join(this.runs.find(of).folder, 'model.onnx');
    const { mtimeMs, size } = await stat(path).catch(() => ({ mtimeMs: 0, size: 0 }));
    return { path, stamp: `${mtimeMs}:${size}` };
  }

  private modelCalled(name: string): Promise<ModelFile> {
    if (this.read?.name === name) return this.read.model;
    const model = resultOf(resolveModel(name, { trains: true })).then(({ path }) => readModel(path, { trains: true }));
    this.read = { name, model };
    model.catch(() => {
      if (this.read?.model === model) this.read = undefined;
    });
    return model;
  }

  /** Multiply-adds a millisecond of the frozen part, by what the live head computed; undefined as long as it has not. */
  private frozenRate(multiplyAdds: number): number | undefined {
    const { photosPerMs } = this.live;
    return photosPerMs === undefined ? undefined : photosPerMs * multiplyAdds;
  }

  private photosByCell(): (cell: string) => { readonly path: string; readonly stamp: string } | undefined {
    const { photos } = this.options;
    const known = new Map(
      photos.classes.flatMap(({ name }) =>
        photos.list(name).photos.map(({ path, stamp }) => [cellOf(resolve(photos.folder, path)), { path, stamp }]),
      ),
    );
    return (cell) => known.get(isAbsolute(cell) ? cell : resolve(cell));
  }
}

/** Whether there was nothing of this name. */
function isMadeAnew(folder: string): boolean {
  try {
    mkdirSync(folder);
    return true;
  } catch (thrown) {
    if (fileErrorCode(thrown) === 'EEXIST') return false;
    throw thrown;
  }
}
