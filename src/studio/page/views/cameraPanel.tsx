import { useSignal, type Signal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { Camera } from '../camera.js';
import { CameraView } from '../parts/cameraView.js';
import { Panel } from '../parts/panel.js';
import { texts } from '../texts.js';
import { upload } from '../uploadQueue.js';

/** Teachable Machine takes one as often while its button is held. */
const EVERY_MS = 150;

interface CameraPanelProps {
  /** The class that the photos are for. */
  readonly name: string;
  readonly onClose: () => void;
}

/** Takes photos for as long as a button is held. */
export function CameraPanel({ name, onClose }: CameraPanelProps) {
  const words = texts.camera;
  const video = useRef<HTMLVideoElement>(null);
  const camera = useMemo(() => new Camera(() => video.current), []);
  const taken = useSignal(0);
  const isHeld = useSignal(false);
  useEffect(() => {
    void camera.open();
    const hide = () => {
      if (document.hidden) camera.close();
      else void camera.open();
    };
    document.addEventListener('visibilitychange', hide);
    return () => {
      document.removeEventListener('visibilitychange', hide);
      isHeld.value = false;
      camera.close();
    };
  }, []);

  useEffect(() => {
    taken.value = 0;
  }, [name]);

  const takeOne = async () => {
    const blob = await camera.take();
    if (!blob) return;
    taken.value++;
    const at = new Date().toISOString().replaceAll(/[-:.]/g, '').replace('T', '-').replace('Z', '');
    const file = new File([blob], `camera-${at}.jpg`, { type: 'image/jpeg' });
    upload([{ class: name, name: file.name, open: () => Promise.resolve(file) }]);
  };
  return (
    <Panel title={words.title(name)} onClose={onClose}>
      <CameraView camera={camera} video={video} />
      <div class="row">
        <HoldButton isHeld={isHeld} isDisabled={!camera.isOn.value} onTake={takeOne} />
        <span role="status">{isHeld.value ? '' : words.taken(taken.value)}</span>
        {isHeld.value && <span aria-hidden="true">{words.taken(taken.value)}</span>}
      </div>
    </Panel>
  );
}

interface HoldProps {
  readonly isHeld: Signal<boolean>;
  readonly isDisabled: boolean;
  readonly onTake: () => Promise<void>;
}

const isKey = ({ key }: KeyboardEvent) => key === ' ' || key === 'Enter';

/** Takes one photo after another while a pointer or a key holds it. */
function HoldButton({ isHeld, isDisabled, onTake }: HoldProps) {
  const words = texts.camera;
  /** Counts holds, so that one that is let go ends even where the next one has begun. */
  const holds = useRef(0);
  const hold = async () => {
    if (isHeld.value) return;
    isHeld.value = true;
    const turn = ++holds.current;
    for (let next = performance.now(); isHeld.peek() && turn === holds.current; next += EVERY_MS) {
      await onTake();
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, next + EVERY_MS - performance.now())));
    }
  };
  const release = () => {
    isHeld.value = false;
  };
  return (
    <button
      type="button"
      class="main hold"
      disabled={isDisabled}
      aria-pressed={isHeld}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        void hold();
      }}
      onPointerUp={release}
      onPointerCancel={release}
      onLostPointerCapture={release}
      onBlur={release}
      onContextMenu={(event) => event.preventDefault()}
      onKeyDown={(event) => {
        if (!isKey(event)) return;
        event.preventDefault();
        if (!event.repeat) void hold();
      }}
      onKeyUp={(event) => {
        if (!isKey(event)) return;
        event.preventDefault();
        release();
      }}
      onClick={(event) => {
        // A click that no finger and no key made: a screen reader's.
        if (event.detail === 0 && !isHeld.value) void onTake();
      }}
    >
      {isHeld.value ? words.taking : words.hold}
    </button>
  );
}
