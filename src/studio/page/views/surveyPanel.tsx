import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { SurveyReport } from '../../api.js';
import { client, thumbnailOf, wordsOf } from '../client.js';
import { LazyImage } from '../parts/lazyImage.js';
import { Panel } from '../parts/panel.js';
import { binPhotos } from '../photoWork.js';
import { texts } from '../texts.js';

/** So many lines of each kind are shown. */
const LISTED = 100;

/** What is wrong with the photos: same ones, unreadable ones, unlike classes. */
export function SurveyPanel({ onClose }: { readonly onClose: () => void }) {
  const words = texts.survey;
  const report = useSignal<SurveyReport | undefined>(undefined);
  const failure = useSignal<string | undefined>(undefined);
  /** Photos that the bin has now. */
  const gone = useSignal<ReadonlySet<string>>(new Set());
  const isLooking = useSignal(false);
  const look = async () => {
    [isLooking.value, failure.value] = [true, undefined];
    try {
      report.value = await client.survey();
      gone.value = new Set();
    } catch (error) {
      failure.value = wordsOf(error);
    }
    isLooking.value = false;
  };
  useEffect(() => void look(), []);
  const away = async (paths: readonly string[]) => {
    if (await binPhotos(paths)) gone.value = new Set([...gone.value, ...paths]);
  };
  const found = report.value;
  const there = ({ path }: { readonly path: string }) => !gone.value.has(path);
  const unreadable = found?.unreadable.filter(there) ?? [];
  const groups = found?.duplicates.map((group) => group.filter(there)).filter(({ length }) => length > 1) ?? [];
  const isFine = found && unreadable.length + groups.length + found.warnings.length === 0;
  return (
    <Panel title={words.title} onClose={onClose}>
      <div role="status">
        {isLooking.value && <p>{words.looking}</p>}
        {!isLooking.value && isFine && <p>{words.fine}</p>}
      </div>
      {failure.value !== undefined && <p role="alert">{failure.value}</p>}
      {found && found.warnings.length > 0 && (
        <ul class="warnings">
          {found.warnings.map((warning) => (
            <li key={warning}>{warning}</li>
          ))}
        </ul>
      )}
      {unreadable.length > 0 && <Unreadable photos={unreadable} onBin={away} />}
      {groups.length > 0 && <Duplicates groups={groups} onBin={away} />}
      {!isLooking.value && (
        <button type="button" onClick={() => void look()}>
          {words.again}
        </button>
      )}
    </Panel>
  );
}

interface Binning {
  readonly onBin: (paths: readonly string[]) => Promise<void>;
}

function Unreadable({ photos, onBin }: Binning & { readonly photos: SurveyReport['unreadable'] }) {
  const words = texts.survey;
  return (
    <>
      <div class="row">
        <h4>{words.unreadable(photos.length)}</h4>
        <button type="button" onClick={() => void onBin(photos.map(({ path }) => path))}>
          {words.binAll}
        </button>
      </div>
      <ul class="list">
        {photos.slice(0, LISTED).map(({ path, reason }) => (
          <li key={path}>
            <span>
              <bdi>{path}</bdi> <span class="note">{reason}</span>
            </span>
            <button type="button" aria-label={words.binWhat(path)} onClick={() => void onBin([path])}>
              {words.bin}
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

/** All but the first of each group, where all are of one class: there it does not matter which one stays. */
const spare = (groups: SurveyReport['duplicates']): string[] =>
  groups
    .filter((group) => group.every((photo) => photo.class === group[0]?.class))
    .flatMap((group) => group.slice(1).map(({ path }) => path));

function Duplicates({ groups, onBin }: Binning & { readonly groups: SurveyReport['duplicates'] }) {
  const words = texts.survey;
  const sure = spare(groups);
  return (
    <>
      <div class="row">
        <h4>{words.duplicates(groups.length)}</h4>
        {sure.length > 0 && (
          <button type="button" onClick={() => void onBin(sure)}>
            {words.binSpare(sure.length)}
          </button>
        )}
      </div>
      <ul class="list">
        {groups.slice(0, LISTED).map((group) => (
          <li key={group[0]?.path}>
            <LazyImage src={thumbnailOf({ path: group[0]?.path ?? '', stamp: group[0]?.stamp ?? '' })} alt="" />
            <ul>
              {group.map(({ path }) => (
                <li key={path}>
                  <bdi>{path}</bdi>
                  <button type="button" aria-label={words.binWhat(path)} onClick={() => void onBin([path])}>
                    {words.bin}
                  </button>
                </li>
              ))}
            </ul>
          </li>
        ))}
      </ul>
    </>
  );
}
