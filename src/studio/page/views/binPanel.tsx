import { inBytes } from '../formatting.js';
import { emptyBin, restoreBin } from '../photoWork.js';
import { bin, binBytes } from '../state.js';
import { texts } from '../texts.js';
import { Panel } from '../parts/panel.js';

/** What was deleted, the latest first, each with a button that gives it back. */
export function BinPanel({ onClose }: { readonly onClose: () => void }) {
  const words = texts.photos;
  return (
    <Panel title={words.binTitle} onClose={onClose}>
      {bin.value.length === 0 && binBytes.value === 0 && <p class="note">{words.binEmpty}</p>}
      <ul class="list">
        {bin.value.toReversed().map(({ bin: name, what, photos }) => (
          <li key={name}>
            <span>
              <bdi>{what}</bdi> <span class="note">{words.photoCount(photos)}</span>
            </span>
            <button type="button" aria-label={words.restoreWhat(what)} onClick={() => void restoreBin(name)}>
              {words.restore}
            </button>
          </li>
        ))}
      </ul>
      {binBytes.value > 0 && (
        <div class="row">
          <p class="note">{words.binHolds(inBytes(binBytes.value))}</p>
          <button type="button" onClick={() => void emptyBin(inBytes(binBytes.value))}>
            {words.emptyBin}
          </button>
        </div>
      )}
    </Panel>
  );
}
