// Runs the model that lies beside it on a picture or on what the camera sees. model.json says what the model takes and gives.
import * as ort from './ort/ort.wasm.min.mjs';

const MOST_CLASSES = 5;
/** Larger pictures than this many pixels a side are made smaller before the model prepares them by itself. */
const LARGEST_SIDE = 2048;

/**
 * What model.json says.
 * @typedef {object} Description
 * @property {readonly string[]} labels
 * @property {readonly number[]} [thresholds] of labels, of which a picture may have any number: from which probability on it has each
 * @property {boolean} [endsInSigmoid]
 * @property {{ width: number, height: number, resize: 'crop' | 'squash', cropShare?: number, mean: readonly number[], std: readonly number[] }} preprocessing
 * @property {string} input
 * @property {string} output
 * @property {boolean} channelsFirst
 * @property {boolean} baked
 * @property {boolean} endsInSoftmax
 * @property {number} batch
 */

/**
 * An element of the page.
 * @template {HTMLElement} Kind
 * @param {string} id
 * @param {new () => Kind} kind
 * @returns {Kind}
 */
function part(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`the page has no ${id}`);
  return element;
}
const [state, drop, classes] = [part('state', HTMLElement), part('drop', HTMLElement), part('classes', HTMLElement)];
const [file, camera] = [part('file', HTMLInputElement), part('camera', HTMLButtonElement)];
const [video, shown] = [part('video', HTMLVideoElement), part('shown', HTMLCanvasElement)];

// Threads would need headers that not every server sends.
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = new URL('./ort/', import.meta.url).href;

/** @param {string} text */
const say = (text) => {
  state.textContent = text;
};

/** @param {unknown} thrown */
const messageOf = (thrown) => (thrown instanceof Error ? thrown.message : String(thrown));

/**
 * `source`, so many pixels wide and high, drawn as the model wants to see it.
 * @param {CanvasImageSource} source
 * @param {number} width
 * @param {number} height
 * @param {Description} model
 */
function draw(source, width, height, { preprocessing, baked }) {
  const context = shown.getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('this browser draws nothing');
  if (baked) {
    const scale = Math.min(1, LARGEST_SIDE / Math.max(width, height));
    shown.width = Math.max(1, Math.round(width * scale));
    shown.height = Math.max(1, Math.round(height * scale));
  } else [shown.width, shown.height] = [preprocessing.width, preprocessing.height];
  context.imageSmoothingQuality = 'high';
  // Transparent pixels count as white, as in the training.
  context.fillStyle = '#fff';
  context.fillRect(0, 0, shown.width, shown.height);
  if (baked) context.drawImage(source, 0, 0, shown.width, shown.height);
  else {
    // From the middle the share that the model sees, of the whole or of as large a part as has the shape of what the model takes.
    const { resize, cropShare = 1 } = preprocessing;
    const scale = Math.max(shown.width / width, shown.height / height);
    const fitted = resize === 'squash' ? [width, height] : [shown.width / scale, shown.height / scale];
    const [across = width, down = height] = fitted.map((side) => side * cropShare);
    const [left, top] = [(width - across) / 2, (height - down) / 2];
    context.drawImage(source, left, top, across, down, 0, 0, shown.width, shown.height);
  }
  return context.getImageData(0, 0, shown.width, shown.height);
}

/**
 * The model's input, as many times the picture as it takes at once.
 * @param {ImageData} picture
 * @param {Description} model
 */
function inputOf({ data, width, height }, { preprocessing, baked, channelsFirst, batch }) {
  const area = width * height;
  const values = new (baked ? Uint8Array : Float32Array)(batch * 3 * area);
  for (let pixel = 0; pixel < area; pixel++)
    for (let channel = 0; channel < 3; channel++) {
      const byte = data[4 * pixel + channel] ?? 0;
      const at = channelsFirst && !baked ? channel * area + pixel : 3 * pixel + channel;
      values[at] = baked ? byte : (byte / 255 - (preprocessing.mean[channel] ?? 0)) / (preprocessing.std[channel] ?? 1);
    }
  for (let image = 1; image < batch; image++) values.copyWithin(image * 3 * area, 0, 3 * area);
  const dims = channelsFirst && !baked ? [batch, 3, height, width] : [batch, height, width, 3];
  return values instanceof Uint8Array ? new ort.Tensor('uint8', values, dims) : new ort.Tensor('float32', values, dims);
}

/**
 * @param {readonly number[]} scores
 * @param {Description} model
 */
function sharesOf(scores, { thresholds, endsInSigmoid, endsInSoftmax }) {
  if (thresholds) return endsInSigmoid ? scores : scores.map((score) => 1 / (1 + Math.exp(-score)));
  if (endsInSoftmax) return scores;
  const largest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/**
 * @param {readonly number[]} shares
 * @param {Description} model
 */
function show(shares, { labels, thresholds }) {
  const best = labels
    .map((label, index) => ({ label, share: shares[index] ?? NaN, least: thresholds?.[index] ?? 0 }))
    .sort((a, b) => b.share - a.share)
    .slice(0, MOST_CLASSES);
  const items = best.map(({ label, share, least }) => {
    const [item, name, percent] = [
      document.createElement('li'),
      document.createElement('span'),
      document.createElement('span'),
    ];
    const [bar, filled] = [document.createElement('div'), document.createElement('i')];
    name.textContent = label;
    percent.textContent = `${(100 * share).toFixed(1)} %`;
    item.className = share >= least ? '' : 'below';
    bar.className = 'bar';
    bar.setAttribute('aria-hidden', 'true');
    filled.style.width = `${100 * share}%`;
    bar.append(filled);
    item.append(name, percent, bar);
    return item;
  });
  classes.replaceChildren(...items);
  const seen = thresholds ? best.filter(({ share, least }) => share >= least) : best.slice(0, 1);
  shown.setAttribute(
    'aria-label',
    `What the model sees: ${seen.map(({ label }) => label).join(', ') || 'nothing that it knows'}`,
  );
}

async function start() {
  const model = /** @type {Description} */ (await (await fetch('model.json')).json());
  const session = await ort.InferenceSession.create('model.onnx', { executionProviders: ['wasm'] });
  let running = Promise.resolve();
  /**
   * What the camera sees, while it is on.
   * @type {MediaStream | undefined}
   */
  let stream;

  /**
   * Classifies what `source` shows; one picture after another.
   * @param {CanvasImageSource} source
   * @param {number} width
   * @param {number} height
   */
  const classify = (source, width, height) => {
    running = running.then(async () => {
      const input = inputOf(draw(source, width, height, model), model);
      const began = performance.now();
      const results = await session.run({ [model.input]: input });
      const scores = Array.from(results[model.output]?.data ?? [], Number).slice(0, model.labels.length);
      show(sharesOf(scores, model), model);
      // Several times a second would be too much to be read aloud.
      if (!stream) say(`Classified in ${Math.round(performance.now() - began)} ms.`);
    });
    return running;
  };

  /** @param {File | null | undefined} chosen */
  const open = async (chosen) => {
    if (!chosen) return;
    stopCamera();
    try {
      await running;
      const picture = await createImageBitmap(chosen);
      await classify(picture, picture.width, picture.height);
    } catch (error) {
      running = Promise.resolve();
      say(`This file cannot be shown as a picture: ${messageOf(error)}`);
    }
  };

  const stopCamera = () => {
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = undefined;
    camera.setAttribute('aria-pressed', 'false');
    camera.textContent = 'Use the camera';
    classes.setAttribute('aria-live', 'polite');
  };
  const watch = async () => {
    while (stream) {
      if (video.videoWidth > 0) await classify(video, video.videoWidth, video.videoHeight);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  };

  file.addEventListener('change', () => void open(file.files?.[0]));
  const turnCamera = async () => {
    if (stream) {
      stopCamera();
      return;
    }
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
      video.srcObject = stream;
      await video.play();
      camera.setAttribute('aria-pressed', 'true');
      camera.textContent = 'Stop the camera';
      classes.setAttribute('aria-live', 'off');
      say('The camera is on.');
      await watch();
    } catch (error) {
      stopCamera();
      say(`The camera cannot be used: ${messageOf(error)}`);
    }
  };
  camera.addEventListener('click', () => void turnCamera());
  // The whole window: a picture that misses the field would otherwise replace the page.
  window.addEventListener('dragover', (event) => {
    event.preventDefault();
    drop.classList.add('over');
  });
  window.addEventListener('dragleave', () => {
    drop.classList.remove('over');
  });
  window.addEventListener('drop', (event) => {
    event.preventDefault();
    drop.classList.remove('over');
    void open(event.dataTransfer?.files[0]);
  });
  for (const control of [file, camera]) control.disabled = false;
  say(`Ready: ${model.labels.length} ${model.thresholds ? 'labels' : 'classes'}.`);
}

start().catch((/** @type {unknown} */ error) => {
  say(`The model cannot be loaded: ${messageOf(error)}`);
});
