import { fittedSize } from './fittedSize.js';
import type { Manifest } from './manifest.js';

/** What `README.md` beside artifacts of on-device training says: what goes in, what comes out, and how it comes back. */
export function onDeviceReadme(manifest: Manifest): string {
  const { batch, classes, optimizer, policy, preprocessing, source, targets, version } = manifest;
  const { height, width, resize, cropShare = 1 } = preprocessing;
  const least = fittedSize(preprocessing);
  const fitted = `${least.width}×${least.height}`;
  const fit =
    resize === 'crop'
      ? `scaled until it covers ${fitted}, and cut to ${width}×${height} in the middle`
      : `scaled to ${fitted}, whatever its proportions${cropShare < 1 ? `, and cut to ${width}×${height} in the middle` : ''}`;
  const target =
    targets === 'soft'
      ? `2. \`targets\`, float32 [${batch}, ${classes.length}]: a row of probabilities for each photo. A row of zeros fills up a batch that is not full.`
      : `2. \`labels\`, int64 [${batch}]: the number of each photo's class, from 0 (${classes[0] ?? ''}) to ${classes.length - 1} (${classes.at(-1) ?? ''}). −1 fills up a batch that is not full.`;
  return `# Training artifacts for onnxruntime-training 1.19.2

Made by ort-tl ${version} from ${source.file}, policy ${policy}. They load in ONNX Runtime's on-device training: C, C++, C#, Java, Swift,
Python, and \`onnxruntime-web\` 1.19.2.

The training session's inputs, by position:

1. \`pixels\`, uint8 [${batch}, ${height}, ${width}, 3]: red, green, blue. Each photo is turned upright by its EXIF tag and ${fit}.
   The graph normalises by itself.
${target}

Its results: \`loss\`, the mean over the batch's photos, and \`logits\`, float32 [${batch}, ${classes.length}]. A step is: train step, optimizer
step (${optimizer.name}; the learning rate is the caller's), reset the gradients. The evaluation session takes the same inputs in batches
of any size, and \`logits\` is the output to export for inference.

A checkpoint that was saved after training becomes an ONNX model with all the labels and the preprocessing in it by

    ort-tl import-checkpoint trained-checkpoint --artifacts . --model ${source.file} --out tuned.onnx

\`manifest.json\` has the classes, the preprocessing and the trained layers. In \`checkpoint\`, BatchNormalizations of frozen layers are folded
into their weights.
`;
}
