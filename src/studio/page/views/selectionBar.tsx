import { inFull } from '../formatting.js';
import { photos, photosOf, selected, selectedCount } from '../photoStore.js';
import { binPhotos, moveSomewhere } from '../photoWork.js';
import { texts } from '../texts.js';

/** What can be done with the selected photos. */
export function SelectionBar({ name }: { readonly name: string }) {
  const words = texts.photos;
  const [count, all] = [selectedCount.value, photos.value.length];
  if (photosOf.value !== name || all === 0) return null;
  const isNone = count === 0;
  return (
    <div class="selection row" role="group" aria-label={words.selection}>
      <span role="status">{isNone ? words.noneSelected : words.selected(count, inFull(all))}</span>
      <button type="button" class="quiet" disabled={count === all} onClick={selectAll}>
        {words.selectAll}
      </button>
      <button type="button" class="quiet" disabled={isNone} onClick={selectNone}>
        {words.selectNone}
      </button>
      <span class="gap" />
      <button type="button" disabled={isNone} onClick={() => void moveSelected(name)}>
        {words.move}
      </button>
      <button type="button" disabled={isNone} onClick={() => void binSelected()}>
        {words.delete}
      </button>
    </div>
  );
}

export function selectAll(): void {
  selected.value = new Set(photos.value.map(({ path }) => path));
}

export function selectNone(): void {
  selected.value = new Set();
}

export async function binSelected(): Promise<void> {
  await binPhotos([...selected.value]);
}

export async function moveSelected(name: string): Promise<void> {
  await moveSomewhere([...selected.value], name);
}
