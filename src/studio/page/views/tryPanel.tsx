import { effect, useSignal, useSignalEffect, type Signal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { Tried } from '../../api.js';
import { Camera } from '../camera.js';
import { client, isAbort, wordsOf } from '../client.js';
import { inTime, percent } from '../formatting.js';
import { threshold, triedFile } from '../lookStore.js';
import { Bar } from '../parts/bar.js';
import { CameraView } from '../parts/cameraView.js';
import { readAll } from '../refreshing.js';
import { texts } from '../texts.js';
import { drawOn, pictureOf } from '../drawing.js';

/** At most five frames a second, and the next one only once there is an answer. */
const EVERY_MS = 200;
const MOST_CLASSES = 5;

interface TryState {
  readonly result: Signal<Tried | undefined>;
  readonly failure: Signal<string | undefined>;
  readonly hasHeat: Signal<boolean>;
}

/** Classifies one photo, or what the camera sees. */
export function TryPanel({ of }: { readonly of: string }) {
  const words = texts.try;
  const state: TryState = {
    result: useSignal<Tried | undefined>(undefined),
    failure: useSignal<string | undefined>(undefined),
    hasHeat: useSignal(false),
  };
  const video = useRef<HTMLVideoElement>(null);
  const [photo, heat] = [useRef<HTMLCanvasElement>(null), useRef<HTMLCanvasElement>(null)];
  const camera = useMemo(() => new Camera(() => video.current), []);
  const source = useSignal<'none' | 'photo' | 'camera'>('none');
  useTries(of, camera, state);
  useSignalEffect(() => {
    const chosen = triedFile.value;
    if (!chosen) return;
    camera.close();
    source.value = 'photo';
    const showing = async () => {
      // What this browser cannot show the server may read all the same.
      if (photo.current) await drawOn(photo.current, chosen).catch(() => undefined);
    };
    void showing();
  });
  useSignalEffect(() => {
    const map = state.result.value?.heatMap;
    if (map !== undefined && heat.current) void drawOn(heat.current, pictureOf(map)).catch(() => undefined);
  });
  const turnCamera = () => {
    if (camera.isOn.value) {
      camera.close();
      source.value = 'none';
      return;
    }
    [triedFile.value, source.value, state.result.value] = [undefined, 'camera', undefined];
    void camera.open();
  };
  const isCamera = source.value === 'camera';
  const isHeat = state.hasHeat.value && state.result.value?.heatMap !== undefined;
  return (
    <section class="card" aria-labelledby="try">
      <h3 id="try">{words.title}</h3>
      <Controls isOn={camera.isOn.value} isCamera={isCamera} onCamera={turnCamera} hasHeat={state.hasHeat} />
      <p class="note">{words.drop}</p>
      <div class={isHeat ? 'tried with-heat' : 'tried'}>
        <div hidden={!isCamera}>
          <CameraView camera={camera} video={video} />
        </div>
        <canvas ref={photo} hidden={source.value !== 'photo'} role="img" aria-label={words.tried} />
        <canvas
          ref={heat}
          class={isCamera ? 'heat mirrored' : 'heat'}
          hidden={!isHeat}
          role="img"
          aria-label={words.heatLabel}
        />
      </div>
      {state.failure.value !== undefined && <p role="alert">{state.failure.value}</p>}
      <Answer result={state.result.value} isSpoken={!isCamera} />
    </section>
  );
}

interface ControlsProps {
  readonly isOn: boolean;
  readonly isCamera: boolean;
  readonly onCamera: () => void;
  readonly hasHeat: Signal<boolean>;
}

function Controls({ isOn, isCamera, onCamera, hasHeat }: ControlsProps) {
  const words = texts.try;
  const file = useRef<HTMLInputElement>(null);
  return (
    <div class="row">
      <button type="button" class="main" onClick={() => file.current?.click()}>
        {words.choose}
      </button>
      <input
        ref={file}
        type="file"
        hidden
        aria-label={words.choose}
        accept="image/*,.heic,.heif"
        onChange={({ currentTarget }) => {
          triedFile.value = currentTarget.files?.[0];
          currentTarget.value = '';
        }}
      />
      <button type="button" aria-pressed={isCamera} onClick={onCamera}>
        {isOn ? words.cameraOff : words.cameraOn}
      </button>
      <label class="inline">
        <input
          type="checkbox"
          checked={hasHeat}
          onChange={({ currentTarget }) => (hasHeat.value = currentTarget.checked)}
        />
        {words.heatMap}
      </label>
    </div>
  );
}

/** Sends the photo, or frames for as long as the camera is on. */
function useTries(of: string, camera: Camera, { result, failure, hasHeat }: TryState): void {
  const send = async (blob: Blob, signal: AbortSignal) => {
    try {
      const answer = await client.classify(of, blob, hasHeat.peek(), signal);
      if (!signal.aborted) [result.value, failure.value] = [answer, undefined];
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      [result.value, failure.value] = [undefined, wordsOf(error)];
    }
  };
  const frames = async (signal: AbortSignal) => {
    while (!signal.aborted) {
      const next = performance.now() + EVERY_MS;
      const blob = await camera.take();
      if (blob) await send(blob, signal);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, next - performance.now())));
    }
  };
  useEffect(() => () => camera.close(), []);
  useEffect(() => {
    result.value = undefined;
    const stopPhoto = effect(() => {
      const file = triedFile.value;
      readAll(hasHeat);
      if (!file) return undefined;
      const controller = new AbortController();
      void send(file, controller.signal);
      return () => controller.abort();
    });
    const stopCamera = effect(() => {
      if (!camera.isOn.value) return undefined;
      const controller = new AbortController();
      void frames(controller.signal);
      return () => controller.abort();
    });
    return () => {
      stopPhoto();
      stopCamera();
    };
  }, [of]);
}

interface AnswerProps {
  readonly result: Tried | undefined;
  /** Several times a second would be too much to be read aloud. */
  readonly isSpoken: boolean;
}

function Answer({ result, isSpoken }: AnswerProps) {
  const words = texts.try;
  if (!result) return <div aria-live={isSpoken ? 'polite' : 'off'} />;
  const [best] = result.classes;
  const isNone = best !== undefined && best.probability < threshold.value;
  return (
    <div aria-live={isSpoken ? 'polite' : 'off'}>
      <p class="answer">
        {best === undefined || isNone ? (
          words.none(percent(threshold.value, 0))
        ) : (
          <>
            <bdi>{best.label}</bdi> {percent(best.probability)}
          </>
        )}
      </p>
      <ol class="bars">
        {result.classes.slice(0, MOST_CLASSES).map(({ label, probability }) => (
          <li key={label}>
            <bdi>{label}</bdi>
            <span class="count">{percent(probability)}</span>
            <Bar share={probability} isDimmed={probability < threshold.value} />
          </li>
        ))}
      </ol>
      <p class="note">{words.took(inTime(result.elapsedMs))}</p>
    </div>
  );
}
