import { computed, signal } from '@preact/signals';
import { wordsOf } from './client.js';
import { texts } from './texts.js';

/** The longer side of a photo that the camera takes, in pixels. */
const LARGEST_SIDE = 640;
const JPEG_QUALITY = 0.9;

/** One camera of the page: whoever has opened it closes it, and then its light goes out. */
export class Camera {
  readonly state = signal<'off' | 'opening' | 'on' | 'failed'>('off');
  readonly message = signal<string | undefined>(undefined);
  /** Those to choose from; their names are known once one of them was allowed. */
  readonly choices = signal<readonly MediaDeviceInfo[]>([]);
  readonly chosen = signal<string | undefined>(undefined);
  readonly isOn = computed(() => this.state.value === 'on');
  private stream: MediaStream | undefined;
  private readonly canvas = document.createElement('canvas');
  /** Counts openings, so that one that comes too late is closed again. */
  private turn = 0;

  constructor(private readonly video: () => HTMLVideoElement | null) {}

  async open(device: string | undefined = this.chosen.value): Promise<void> {
    this.close();
    const turn = this.turn;
    this.state.value = 'opening';
    try {
      // Where the page is neither of this machine nor behind https there are no devices at all, whatever the types say.
      const devices = navigator.mediaDevices as MediaDevices | undefined;
      if (!devices) throw new Error(texts.camera.insecure);
      const wish: MediaTrackConstraints = { width: { ideal: LARGEST_SIDE }, height: { ideal: LARGEST_SIDE } };
      const video = device ? { ...wish, deviceId: { exact: device } } : { ...wish, facingMode: 'environment' };
      const stream = await devices.getUserMedia({ video, audio: false });
      if (turn !== this.turn) {
        stopTracks(stream);
        return;
      }
      this.stream = stream;
      await this.show(stream);
      this.chosen.value = stream.getVideoTracks()[0]?.getSettings().deviceId;
      this.choices.value = (await devices.enumerateDevices()).filter(({ kind }) => kind === 'videoinput');
    } catch (error) {
      if (turn !== this.turn) return;
      this.close();
      this.state.value = 'failed';
      this.message.value = texts.camera.failed(wordsOf(error));
    }
  }

  private async show(stream: MediaStream): Promise<void> {
    const video = this.video();
    if (!video) throw new Error(texts.camera.insecure);
    video.srcObject = stream;
    await video.play();
    this.state.value = 'on';
  }

  close(): void {
    this.turn++;
    if (this.stream) stopTracks(this.stream);
    this.stream = undefined;
    const video = this.video();
    if (video) video.srcObject = null;
    this.state.value = 'off';
    this.message.value = undefined;
  }

  /** What it sees now, as JPEG of at most 640 pixels a side and not mirrored; nothing while it sees nothing. */
  async take(): Promise<Blob | undefined> {
    const video = this.video();
    if (!video || video.videoWidth === 0 || !this.isOn.peek()) return undefined;
    const scale = Math.min(1, LARGEST_SIDE / Math.max(video.videoWidth, video.videoHeight));
    const { canvas } = this;
    [canvas.width, canvas.height] = [Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale)];
    canvas.getContext('2d')?.drawImage(video, 0, 0, canvas.width, canvas.height);
    return new Promise((resolve) => canvas.toBlob((blob) => resolve(blob ?? undefined), 'image/jpeg', JPEG_QUALITY));
  }
}

function stopTracks(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}
