import type { RefObject } from 'preact';
import type { Camera } from '../camera.js';
import { texts } from '../texts.js';

interface CameraProps {
  readonly camera: Camera;
  readonly video: RefObject<HTMLVideoElement | null>;
}

/** What a camera sees, as in a mirror, and which camera it is. */
export function CameraView({ camera, video }: CameraProps) {
  const words = texts.camera;
  const isOn = camera.isOn.value;
  return (
    <div class="camera">
      <video ref={video} class="mirrored" playsInline muted hidden={!isOn} aria-label={words.sees} />
      {camera.state.value === 'opening' && <p role="status">{words.opening}</p>}
      {camera.state.value === 'failed' && <p role="alert">{camera.message.value}</p>}
      {camera.choices.value.length > 1 && (
        <label class="field">
          {words.which}
          <select
            value={camera.chosen.value ?? ''}
            onChange={({ currentTarget }) => void camera.open(currentTarget.value)}
          >
            {camera.choices.value.map(({ deviceId, label }, index) => (
              <option key={deviceId} value={deviceId}>
                {label || words.unnamed(index + 1)}
              </option>
            ))}
          </select>
        </label>
      )}
    </div>
  );
}
