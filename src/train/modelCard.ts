import { basename } from 'node:path';
import { METADATA, type Preprocessing } from '../artifacts/manifest.js';
import { metadataOf, type ModelFile } from '../onnx/model.js';
import { visible } from '../text.js';
import { packageVersion } from '../version.js';
import type { Summary } from './events.js';
import { wilson95 } from './wilson.js';

/** What stands before and behind the part that tells how the file is used. */
export const USE = { begins: '<!-- ort-tl: use -->', ends: '<!-- ort-tl: end of use -->' } as const;
/** The line that an export for another library replaces. */
export const LIBRARY_LINE = 'library_name: onnx';

/** More classes than these make no table that anybody reads. */
const MOST_ROWS = 50;
/** As a licence's identifier is written (SPDX, and the hub's). */
const LICENCE = /^[A-Za-z0-9][A-Za-z0-9.+-]{0,60}$/;

export interface CardContent {
  readonly summary: Summary;
  readonly source: ModelFile;
  readonly preprocessing: Preprocessing;
  /** Where the photos were found; the card names its last part alone. */
  readonly data: string;
  readonly settings: Readonly<Record<string, string | number>>;
  readonly runtime: string;
}

/** `README.md` of a run: what the model is, what it was trained on, what it is worth, and how it is used. */
export function modelCard({ summary, source, preprocessing, data, settings, runtime }: CardContent): string {
  const { task, policy, classes, valPhotos, trainPhotos, cost, elapsedMs } = summary;
  const licence = metadataOf(source.proto).get('license')?.trim();
  const known = licence !== undefined && LICENCE.test(licence) ? licence : undefined;
  const share = cost.trainableParameters / cost.parameters;
  const { width, height, resize, mean, std } = preprocessing;
  const lines = [
    '---',
    ...(known === undefined ? [] : [`license: ${known.toLowerCase()}`]),
    'pipeline_tag: image-classification',
    LIBRARY_LINE,
    'tags: [onnx, ort-tl, transfer-learning]',
    '---',
    '',
    `# ${escaped(basename(source.path, '.onnx'))}, retrained by ${escaped(policy)}`,
    '',
    task === 'labels'
      ? `It tells which of ${classes.length} labels a photo has, any number of them; retrained by ort-tl ${packageVersion}.`
      : `A classifier of photos into ${classes.length} classes, retrained by ort-tl ${packageVersion}.`,
    '',
    '| | |',
    '| --- | --- |',
    row('pretrained model', `${escaped(basename(source.path))}, SHA-256 ${source.sha256}`),
    row('its licence', licence === undefined ? 'not stated in its file' : escaped(licence)),
    row('photos', `${escaped(basename(data))}: ${trainPhotos} to train, ${valPhotos} to validate`),
    row(
      'what trained',
      `${escaped(policy)}: ${cost.trainableParameters} of ${cost.parameters} parameters (${percent(share)})`,
    ),
    ...worthOf(summary),
    row(
      'best of the epochs',
      `${summary.bestEpoch} of ${summary.epochs}, by ${escaped(summary.metric)} on those photos`,
    ),
    row('time', `${(elapsedMs / 1000).toFixed(1)} s`),
    row('energy', 'not measured'),
    row('image', `${width}×${height} pixels, ${resize === 'crop' ? 'the centre, cut out' : 'squashed'}`),
    row('mean, deviation', `${mean.join(', ')}; ${std.join(', ')} (R, G, B of pixel/255)`),
    ...Object.entries(settings).map(([name, value]) => row(escaped(name), escaped(String(value)))),
    row('versions', `ort-tl ${packageVersion}, ONNX Runtime ${runtime}, Node.js ${process.versions.node}`),
    '',
    task === 'labels'
      ? 'The interval is over resampled photos alone: the best epoch and the thresholds were chosen on the same ones, so mAP and F1 on others are likely to be a little lower.'
      : 'The interval counts photos alone: the best epoch was chosen on the same ones, so top-1 on others is likely to be a little lower.',
    '',
    USE.begins,
    '## Use',
    '',
    '`ort-tl predict --model model.onnx photo.jpg`; other programs take the file with any ONNX Runtime. Its metadata has',
    `\`${METADATA.labels}\`${task === 'labels' ? `, \`${METADATA.thresholds}\`` : ''} and \`${METADATA.preprocessing}\`, ${task === 'labels' ? 'all' : 'both'} JSON. docs/use.md of ort-tl has programs in Node.js, the browser, Python and C#.`,
    USE.ends,
    '',
    task === 'labels' ? '## Labels' : '## Classes',
    '',
    ...classTable(summary),
  ];
  return `${lines.join('\n')}\n`;
}

/** What it is worth on the photos that validated. */
function worthOf({ metrics, mapInterval, valPhotos }: Summary): string[] {
  const of = `of ${valPhotos} validation photos`;
  if ('map' in metrics) {
    const [low, high] = mapInterval ?? [];
    const interval =
      low === undefined || high === undefined ? '' : ` (95 % interval ${percent(low)} to ${percent(high)})`;
    return [
      row('mAP', `${percent(metrics.map)} ${of}${interval}`),
      row('macro F1, micro F1', `${percent(metrics.macroF1)}, ${percent(metrics.microF1)}`),
    ];
  }
  const { low, high } = wilson95(Math.round(metrics.top1 * valPhotos), valPhotos);
  return [
    row('top-1', `${percent(metrics.top1)} ${of} (95 % interval ${percent(low)} to ${percent(high)})`),
    row('macro F1, balanced accuracy', `${percent(metrics.macroF1)}, ${percent(metrics.balancedAccuracy)}`),
  ];
}

function classTable({ task, classes, perClass }: Summary): string[] {
  if (perClass.length === 0 || classes.length > MOST_ROWS) return [classes.map(escaped).join(', ')];
  if (task === 'labels')
    return [
      '| label | validation photos | average precision | from | precision | recall | F1 |',
      '| --- | --- | --- | --- | --- | --- | --- |',
      ...perClass.map((each, index) =>
        row(
          ...[escaped(classes[index] ?? ''), String(each.photos)],
          'averagePrecision' in each && each.averagePrecision !== null ? percent(each.averagePrecision) : '-',
          'threshold' in each ? percent(each.threshold) : '-',
          ...[each.precision, each.recall, each.f1].map(percent),
        ),
      ),
    ];
  return [
    '| class | validation photos | precision | recall | F1 |',
    '| --- | --- | --- | --- | --- |',
    ...perClass.map(({ photos, precision, recall, f1 }, index) =>
      row(escaped(classes[index] ?? ''), String(photos), percent(precision), percent(recall), percent(f1)),
    ),
  ];
}

const row = (...cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** Text from outside as Markdown that shows it: nothing of it is markup, a link, or another cell. */
export function escaped(text: string): string {
  return visible(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replace(/[\\`*_{}[\]()#+!|>~$@:]/g, '\\$&');
}
