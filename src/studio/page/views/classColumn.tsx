import { inFull } from '../formatting.js';
import { Bar } from '../parts/bar.js';
import { addClass } from '../photoWork.js';
import { chosenClass, hashOf } from '../routes.js';
import { bin, binBytes, classes, photoCount } from '../state.js';
import { texts } from '../texts.js';

/** What stands open above the photos. */
export type PhotoTool = 'camera' | 'survey' | 'bin' | undefined;

interface ColumnProps {
  readonly tool: PhotoTool;
  readonly onTool: (tool: PhotoTool) => void;
}

/** All classes with how many photos they have. */
export function ClassColumn({ tool, onTool }: ColumnProps) {
  const words = texts.photos;
  const all = classes.value;
  const most = Math.max(1, ...all.map(({ photos }) => photos));
  const chosen = chosenClass.value;
  return (
    <aside class="classes" aria-label={words.classes}>
      <div class="row">
        <h3>{words.classes}</h3>
        <button type="button" onClick={() => void addClass()}>
          {words.addClass}
        </button>
      </div>
      <ul>
        {all.map(({ name, photos }) => (
          <li key={name}>
            <a href={hashOf('photos', name)} aria-current={name === chosen ? 'true' : undefined}>
              <bdi>{name}</bdi>
              <span class="count">
                {inFull(photos)}
                <span class="unseen"> {words.photosWord(photos)}</span>
              </span>
              <Bar share={photos / most} />
            </a>
          </li>
        ))}
      </ul>
      <p class="note">{words.sum(photoCount.value, all.length)}</p>
      <div class="row">
        <button
          type="button"
          aria-expanded={tool === 'survey'}
          disabled={all.length === 0}
          onClick={() => onTool('survey')}
        >
          {words.check}
        </button>
        {(bin.value.length > 0 || binBytes.value > 0) && (
          <button type="button" aria-expanded={tool === 'bin'} onClick={() => onTool('bin')}>
            {words.bin(bin.value.length)}
          </button>
        )}
      </div>
    </aside>
  );
}
