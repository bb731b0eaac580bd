import { useRef } from 'preact/hooks';
import { inFull, percent } from '../formatting.js';
import { useLeaving } from '../parts/leaving.js';
import { texts } from '../texts.js';
import { cancelUploads, closeUploads, uploadAgain, uploads, type UploadState } from '../uploadQueue.js';

/** What is being uploaded, in whatever view, and what was refused. */
export function UploadList() {
  const state = uploads.value;
  return state ? <Uploads state={state} /> : null;
}

/** It stays while something was refused, until somebody closes it. */
function Uploads({ state }: { readonly state: UploadState }) {
  const words = texts.uploads;
  const element = useRef<HTMLElement>(null);
  const { total, done, added, duplicates, refusedCount, refused, unsent, isActive, archive } = state;
  useLeaving(element, isActive || refusedCount > 0 ? undefined : closeUploads, [state]);
  return (
    <section ref={element} class="card uploads" aria-label={words.title}>
      <div class="row">
        {isActive ? (
          <>
            <progress max={total} value={done} aria-label={words.title} />
            <span>{words.progress(inFull(done), inFull(total))}</span>
            {archive && <span class="note">{words.archive(archive.name, percent(archive.share, 0))}</span>}
          </>
        ) : (
          <p role="status">{words.result(added, duplicates, refusedCount)}</p>
        )}
        <span class="gap" />
        {isActive ? (
          <button type="button" onClick={cancelUploads}>
            {texts.cancel}
          </button>
        ) : (
          <>
            {unsent > 0 && (
              <button type="button" onClick={uploadAgain}>
                {words.again(unsent)}
              </button>
            )}
            <button type="button" class="quiet" onClick={closeUploads}>
              {texts.close}
            </button>
          </>
        )}
      </div>
      {refusedCount > 0 && (
        <details open={!isActive}>
          <summary>{words.refused(refusedCount)}</summary>
          <ul class="refused" tabIndex={0} aria-label={words.refused(refusedCount)}>
            {refused.map(({ name, reason }, index) => (
              <li key={index}>
                <bdi>{name}</bdi>: {reason}
              </li>
            ))}
          </ul>
          {refusedCount > refused.length && <p class="note">{words.moreRefused(refusedCount - refused.length)}</p>}
        </details>
      )}
    </section>
  );
}
