import { photoOf } from '../client.js';
import { Dialog } from '../parts/dialog.js';
import { nameOf, photos } from '../photoStore.js';
import { texts } from '../texts.js';

interface PhotoDialogProps {
  readonly place: number;
  readonly onPlace: (place: number) => void;
  readonly onClose: () => void;
}

/** One photo as large as the window, with those beside it. */
export function PhotoDialog({ place, onPlace, onClose }: PhotoDialogProps) {
  const words = texts.photos;
  const last = photos.value.length - 1;
  const photo = photos.value[Math.min(place, last)];
  if (!photo) return null;
  const name = nameOf(photo);
  const go = (step: number) => onPlace(Math.min(last, Math.max(0, place + step)));
  return (
    <Dialog
      title={name}
      onClose={onClose}
      isWide
      onKey={(key) => {
        if (key === 'ArrowLeft' || key === 'ArrowRight') go(key === 'ArrowLeft' ? -1 : 1);
      }}
    >
      <div class="large">
        <img src={photoOf(photo)} alt={words.photo(name, photo.split)} />
        <div class="actions">
          <button type="button" disabled={place <= 0} onClick={() => go(-1)}>
            {words.previous}
          </button>
          <span>{words.splits[photo.split]}</span>
          <button type="button" disabled={place >= last} onClick={() => go(1)}>
            {words.next}
          </button>
        </div>
      </div>
    </Dialog>
  );
}
