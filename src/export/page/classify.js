// Runs the model that lies beside it on a picture or on what the camera sees. model.json says what the model takes and gives.
import * as ort from './ort/ort.wasm.min.mjs';

const MOST_CLASSES = 5;
/** Larger pictures than this many pixels a side are made smaller before the model prepares them by itself. */
const LARGEST_SIDE = 2048;

const part = (id) => document.getElementById(id);
const [state, file, drop, camera, video, shown] = ['state', 'file', 'drop', 'camera', 'video', 'shown'].map(part);

// Threads would need headers that not every server sends.
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = new URL('./ort/', import.meta.url).href;

const say = (text) => {
  state.textContent = text;
};

/** `source`, so many pixels wide and high, drawn as the model wants to see it. */
function draw(source, width, height, { preprocessing, baked }) {
  const context = shown.getContext('2d', { willReadFrequently: true });
  if (baked) {
    const scale = Math.min(1, LARGEST_SIDE / Math.max(width, height));
    [shown.width, shown.height] = [width, height].map((side) => Math.max(1, Math.round(side * scale)));
  } else [shown.width, shown.height] = [preprocessing.width, preprocessing.height];
  context.imageSmoothingQuality = 'high';
  // Transparent pixels count as white, as in the training.
  context.fillStyle = '#fff';
  context.fillRect(0, 0, shown.width, shown.height);
  if (baked || preprocessing.resize === 'squash') context.drawImage(source, 0, 0, shown.width, shown.height);
  else {
    // As large a part from the middle as has the shape of what the model takes.
    const scale = Math.max(shown.width / width, shown.height / height);
    const [across, down] = [shown.width / scale, shown.height / scale];
    const [left, top] = [(width - across) / 2, (height - down) / 2];
    context.drawImage(source, left, top, across, down, 0, 0, shown.width, shown.height);
  }
  return context.getImageData(0, 0, shown.width, shown.height);
}

/** The model's input, as many times the picture as it takes at once. */
function inputOf({ data, width, height }, { preprocessing, baked, channelsFirst, batch }) {
  const area = width * height;
  const values = new (baked ? Uint8Array : Float32Array)(batch * 3 * area);
  for (let pixel = 0; pixel < area; pixel++)
    for (let channel = 0; channel < 3; channel++) {
      const byte = data[4 * pixel + channel];
      const at = channelsFirst && !baked ? channel * area + pixel : 3 * pixel + channel;
      values[at] = baked ? byte : (byte / 255 - preprocessing.mean[channel]) / preprocessing.std[channel];
    }
  for (let image = 1; image < batch; image++) values.copyWithin(image * 3 * area, 0, 3 * area);
  const dims = channelsFirst && !baked ? [batch, 3, height, width] : [batch, height, width, 3];
  return new ort.Tensor(baked ? 'uint8' : 'float32', values, dims);
}

function sharesOf(scores, endsInSoftmax) {
  if (endsInSoftmax) return scores;
  const largest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

function show(shares, labels) {
  const best = labels
    .map((label, index) => ({ label, share: shares[index] }))
    .sort((a, b) => b.share - a.share)
    .slice(0, MOST_CLASSES);
  const items = best.map(({ label, share }) => {
    const [item, name, percent, bar, filled] = ['li', 'span', 'span', 'div', 'i'].map((tag) =>
      document.createElement(tag),
    );
    name.textContent = label;
    percent.textContent = `${(100 * share).toFixed(1)} %`;
    bar.className = 'bar';
    bar.setAttribute('aria-hidden', 'true');
    filled.style.width = `${100 * share}%`;
    bar.append(filled);
    item.append(name, percent, bar);
    return item;
  });
  part('classes').replaceChildren(...items);
  shown.setAttribute('aria-label', `What the model sees: ${best[0].label}`);
}

async function start() {
  const model = await (await fetch('model.json')).json();
  const session = await ort.InferenceSession.create('model.onnx', { executionProviders: ['wasm'] });
  let running = Promise.resolve();
  /** Of the camera, while it is on. */
  let stream;

  /** Classifies what `source` shows; one picture after another. */
  const classify = (source, width, height) => {
    running = running.then(async () => {
      const input = inputOf(draw(source, width, height, model), model);
      const began = performance.now();
      const results = await session.run({ [model.input]: input });
      const scores = Array.from(results[model.output].data).slice(0, model.labels.length);
      show(sharesOf(scores, model.endsInSoftmax), model.labels);
      // Several times a second would be too much to be read aloud.
      if (!stream) say(`Classified in ${Math.round(performance.now() - began)} ms.`);
    });
    return running;
  };

  const open = async (chosen) => {
    if (!chosen) return;
    stopCamera();
    try {
      await running;
      const picture = await createImageBitmap(chosen);
      await classify(picture, picture.width, picture.height);
    } catch (error) {
      running = Promise.resolve();
      say(`This file cannot be shown as a picture: ${error.message}`);
    }
  };

  const stopCamera = () => {
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = undefined;
    camera.setAttribute('aria-pressed', 'false');
    camera.textContent = 'Use the camera';
    part('classes').setAttribute('aria-live', 'polite');
  };
  const watch = async () => {
    while (stream) {
      if (video.videoWidth > 0) await classify(video, video.videoWidth, video.videoHeight);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  };

  file.addEventListener('change', () => open(file.files[0]));
  camera.addEventListener('click', async () => {
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
      part('classes').setAttribute('aria-live', 'off');
      say('The camera is on.');
      await watch();
    } catch (error) {
      stopCamera();
      say(`The camera cannot be used: ${error.message}`);
    }
  });
  // The whole window: a picture that misses the field would otherwise replace the page.
  window.addEventListener('dragover', (event) => {
    event.preventDefault();
    drop.classList.add('over');
  });
  window.addEventListener('dragleave', () => drop.classList.remove('over'));
  window.addEventListener('drop', (event) => {
    event.preventDefault();
    drop.classList.remove('over');
    void open(event.dataTransfer.files[0]);
  });
  for (const control of [file, camera]) control.disabled = false;
  say(`Ready: ${model.labels.length} classes.`);
}

start().catch((error) => say(`The model cannot be loaded: ${error.message}`));
