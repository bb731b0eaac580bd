import { useSignal } from '@preact/signals';
import { client } from '../client.js';
import { askText } from '../dialogs.js';
import { models, settings } from '../state.js';
import { texts } from '../texts.js';
import { attempt } from '../toasts.js';

/** No name of a model: asks for a file. */
const OTHER = '\u0000';

const isPath = (name: string) => /[\\/]/.test(name);

/** The model that trains, and on which the live head stands. */
export function ModelField() {
  const words = texts.train;
  const isChanging = useSignal(false);
  const chosen = settings.value?.model ?? '';
  // Runs are among them by their paths.
  const [runs, named] = [models.value.filter(isPath), models.value.filter((name) => !isPath(name))];
  const isListed = models.value.includes(chosen);
  const change = async (field: HTMLSelectElement) => {
    const wanted = field.value === OTHER ? await askText({ ...words.otherModel, value: '' }) : field.value;
    isChanging.value = true;
    if (wanted !== undefined) await attempt(() => client.change({ model: wanted }));
    isChanging.value = false;
    // What the server has, whatever was chosen.
    field.value = settings.value?.model ?? '';
  };
  return (
    <label class="field">
      {words.model}
      <select value={chosen} disabled={isChanging.value} onChange={({ currentTarget }) => void change(currentTarget)}>
        {!isListed && <option value={chosen}>{chosen}</option>}
        <optgroup label={words.pretrained}>
          {named.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </optgroup>
        {runs.length > 0 && (
          <optgroup label={words.fromRuns}>
            {runs.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </optgroup>
        )}
        <option value={OTHER}>{words.other}</option>
      </select>
      <span class="note">{words.modelNote}</span>
    </label>
  );
}
