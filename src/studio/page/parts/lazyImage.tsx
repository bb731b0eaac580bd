import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import icon from '../icon.svg';
import { PictureLoad } from '../pictureLoad.js';
import { texts } from '../texts.js';

interface LazyProps {
  readonly src: string;
  readonly alt: string;
  /** One after another with others like it. */
  readonly inTurn?: boolean;
  /** It is in the page only while it is seen, or nearly. */
  readonly isNear?: boolean;
}

/**
 * A picture that loads once it is seen, and is given up when it leaves before it has come. Until then there is no `img`: Chromium keeps one
 * without an address for as long as the page, though nothing else does.
 */
export function LazyImage({ src, alt, inTurn = false, isNear = false }: LazyProps) {
  const box = useRef<HTMLSpanElement>(null);
  const load = useRef<PictureLoad | undefined>(undefined);
  const state = useSignal<'waiting' | 'loading' | 'there' | 'failed'>('waiting');
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const begun = new PictureLoad(inTurn, (isLoading) => (state.value = isLoading ? 'loading' : 'waiting'));
    load.current = begun;
    // Many come and go while one scrolls, and one that would watch nothing costs all the same.
    const watch = isNear ? undefined : watchSeen(element, begun);
    if (isNear) begun.begin();
    return () => {
      watch?.disconnect();
      // What is on its way is given up for a picture that is there, so that others get the connection. Without an address Chromium would keep it.
      if (begun.isLoading) element.querySelector('img')?.setAttribute('src', icon);
      begun.giveUp();
    };
  }, [src, inTurn, isNear]);
  const end = (next: 'there' | 'failed') => {
    load.current?.end();
    state.value = next;
  };
  const { value } = state;
  return (
    <span ref={box} class="picture" data-state={value}>
      {(value === 'loading' || value === 'there') && (
        <img
          key={src}
          src={src}
          alt={alt}
          decoding="async"
          draggable={false}
          onLoad={() => end('there')}
          onError={() => end('failed')}
        />
      )}
      {value === 'failed' && <span class="failed">{texts.pictureFailed}</span>}
    </span>
  );
}

function watchSeen(element: Element, load: PictureLoad): IntersectionObserver {
  const watch = new IntersectionObserver((entries) => {
    if (entries.at(-1)?.isIntersecting) load.begin();
    else load.giveUp();
  });
  watch.observe(element);
  return watch;
}
