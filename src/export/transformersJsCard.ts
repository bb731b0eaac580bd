import { join } from 'node:path';
import type { Task } from '../artifacts/task.js';
import { MOST_BYTES, readRegularFileSync } from '../files.js';
import { LIBRARY_LINE, USE } from '../train/modelCard.js';

const SNIPPET = `## Use

\`\`\`js
import { pipeline } from '@huggingface/transformers';

// The folder as a path that begins with ./ or /, or its name on the hub.
const classify = await pipeline('image-classification', './folder');
console.log(await classify('photo.jpg'));
\`\`\`

One photo a call, where the model resizes them by itself (the default of ort-tl export).`;

/** The library's classifier makes shares of one whole of whatever it is given. */
const SNIPPET_OF_LABELS = `## Use

\`\`\`js
import { AutoModel, AutoProcessor, load_image } from '@huggingface/transformers';

// The folder as a path that begins with ./ or /, or its name on the hub.
const [model, processor] = [await AutoModel.from_pretrained('./folder'), await AutoProcessor.from_pretrained('./folder')];
const { logits } = await model(await processor(await load_image('photo.jpg')));
const probabilities = logits.sigmoid().data;
const { id2label, ort_tl } = model.config;
console.log([...probabilities].flatMap((p, index) => (p >= ort_tl.thresholds[index] ? [[id2label[index], p]] : [])));
\`\`\`

One photo a call, where the model resizes them by itself (the default of ort-tl export).`;

/** The model card of a run, as one of a folder for transformers.js; undefined where the run has none, or somebody else wrote it. */
export function cardForTransformersJs(run: string, task: Task): string | undefined {
  let card: string;
  try {
    card = readRegularFileSync(join(run, 'README.md'), MOST_BYTES.settings).toString('utf8');
  } catch {
    return undefined;
  }
  const [begins, ends] = [card.indexOf(USE.begins), card.indexOf(USE.ends)];
  if (begins < 0 || ends < begins) return undefined;
  const changed = `${card.slice(0, begins)}${USE.begins}\n${task === 'labels' ? SNIPPET_OF_LABELS : SNIPPET}\n${card.slice(ends)}`;
  return changed.replace(LIBRARY_LINE, () => 'library_name: transformers.js');
}
