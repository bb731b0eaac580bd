import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HubServer, sha256 } from '../hub/hubServer.js';
import { bitsOfFiles } from './bits.js';
import type { KillCase } from './cases.js';
import { below, type Place } from './place.js';
import { SMALL_MODEL } from './scenery.js';

const REPOSITORY = 'owner/network';
const MODEL = 'onnx/model.onnx';
/** What its storage takes to send the model: most moments are to fall into it. */
const STORAGE_MS = 1500;

/** A hub that has a network, and is in no hurry. */
export async function startHub(): Promise<HubServer> {
  const hub = await HubServer.start();
  hub.storageMs = STORAGE_MS;
  hub.add(REPOSITORY, {
    [MODEL]: readFileSync(SMALL_MODEL),
    'config.json': JSON.stringify({ id2label: { 0: 'boat', 1: 'cup' } }),
  });
  return hub;
}

/** `ort-tl models pull` from `hub`: what has a model's name is whole at any moment, and what was begun is finished by the next call. */
export function pulling(hub: HubServer): KillCase {
  const words = ['models', 'pull', `hf:${REPOSITORY}`];
  const cache = ({ home }: Place) =>
    join(home, '.cache', 'huggingface', 'hub', `models--${REPOSITORY.replace('/', '--')}`);
  const [commit = '', files = {}] =
    [...hub.repositories.values()].map((each) => [each.commit, each.files] as const)[0] ?? [];
  return {
    name: 'models-pull',
    words,
    env: { HF_ENDPOINT: hub.endpoint },
    next: (_, code) => (code === 0 ? undefined : words),
    bits: (place) => bitsOfFiles(cache(place)),
    faults: (place) => {
      const snapshot = join(cache(place), 'snapshots', commit);
      const wrong = below(snapshot).filter((name) => {
        const file = files[name];
        return name !== 'onnx' && (!file || sha256(readFileSync(join(snapshot, name))) !== sha256(file.content));
      });
      return wrong.length === 0 ? [] : [`under a name of the repository lies what is not it: ${wrong.join(', ')}`];
    },
  };
}
