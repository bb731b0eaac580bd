import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Prediction } from '../../api.js';
import { heatMapOf, thumbnailOf } from '../client.js';
import { percent } from '../formatting.js';
import { leaveOut, predictions, present } from '../lookStore.js';
import { LazyImage } from '../parts/lazyImage.js';
import { binPhotos, movePhotos, moveSomewhere } from '../photoWork.js';
import { texts } from '../texts.js';
import type { ConfusionCell } from './confusion.js';

interface MistakesProps {
  readonly of: string;
  readonly cell: ConfusionCell | undefined;
  readonly onAll: () => void;
}

const SHOWN_AT_FIRST = 12;
const MORE = 24;

/** The photos of a cell, or all mistakes; those come first of which the model was surest. */
export function Mistakes({ of, cell, onAll }: MistakesProps) {
  const words = texts.look;
  const most = useSignal(SHOWN_AT_FIRST);
  const hasHeat = useSignal(true);
  useEffect(() => {
    most.value = SHOWN_AT_FIRST;
  }, [of, cell]);
  const names = predictions.value?.classes ?? [];
  const isShown = ({ label, predicted }: Prediction) =>
    cell ? label === cell.label && predicted === cell.predicted : label !== predicted;
  const found = present.value.filter(isShown).sort((a, b) => b.probability - a.probability);
  const title = cell
    ? words.cell(found.length, names[cell.label] ?? '', names[cell.predicted] ?? '')
    : words.worst(found.length);
  return (
    <section class="card" aria-labelledby="mistakes">
      <div class="row">
        <h3 id="mistakes" aria-live="polite">
          {title}
        </h3>
        <span class="gap" />
        {cell && (
          <button type="button" class="quiet" onClick={onAll}>
            {words.allMistakes}
          </button>
        )}
        <label class="inline">
          <input
            type="checkbox"
            checked={hasHeat}
            onChange={({ currentTarget }) => (hasHeat.value = currentTarget.checked)}
          />
          {words.heatMaps}
        </label>
      </div>
      {found.length === 0 && <p>{words.noMistakes}</p>}
      <ul class="cards">
        {found.slice(0, most.value).map((photo) => (
          <PredictedPhoto key={photo.path} {...{ of, photo, names }} hasHeat={hasHeat.value} />
        ))}
      </ul>
      {found.length > most.value && (
        <button type="button" onClick={() => (most.value += MORE)}>
          {words.more(found.length - most.value)}
        </button>
      )}
    </section>
  );
}

interface PredictedProps {
  readonly of: string;
  readonly photo: Prediction;
  readonly names: readonly string[];
  readonly hasHeat: boolean;
}

function PredictedPhoto({ of, photo, names, hasHeat }: PredictedProps) {
  const words = texts.look;
  const { path, label, predicted, probability } = photo;
  const [is, taken] = [names[label] ?? '', names[predicted] ?? ''];
  const isBusy = useSignal(false);
  const once = async (work: () => Promise<boolean>) => {
    isBusy.value = true;
    if (await work()) leaveOut(photo);
    isBusy.value = false;
  };
  const alt = words.alt(path, hasHeat);
  return (
    <li>
      <LazyImage
        key={String(hasHeat)}
        src={hasHeat ? heatMapOf(of, photo) : thumbnailOf(photo)}
        alt={alt}
        inTurn={hasHeat}
      />
      <p>
        {words.isClass} <bdi>{is}</bdi>, {label === predicted ? words.rightly : words.takenFor}{' '}
        <strong>
          <bdi>{taken}</bdi>
        </strong>{' '}
        {words.with(percent(probability, 0))}
      </p>
      <div class="row">
        {label !== predicted && (
          <button type="button" disabled={isBusy} onClick={() => void once(() => movePhotos([path], taken, is))}>
            {words.itIs(taken)}
          </button>
        )}
        <button
          type="button"
          class="quiet"
          disabled={isBusy}
          onClick={() => void once(() => moveSomewhere([path], is))}
        >
          {texts.photos.move}
        </button>
        <button
          type="button"
          class="quiet"
          disabled={isBusy}
          aria-label={words.deleteWhat(path)}
          onClick={() => void once(() => binPhotos([path]))}
        >
          {texts.photos.delete}
        </button>
      </div>
    </li>
  );
}
