import { inFull } from '../formatting.js';
import { shownClasses, type Tally } from '../tallies.js';
import { texts } from '../texts.js';

/** Photos of one class that were taken for one. */
export interface ConfusionCell {
  readonly label: number;
  readonly predicted: number;
}

interface ConfusionProps {
  readonly tally: Tally;
  readonly chosen: ConfusionCell | undefined;
  readonly onChoose: (cell: ConfusionCell | undefined) => void;
}

/** A larger table is hard to read; then those with the most mistakes are shown. */
const MOST_CLASSES = 20;

/** How often each class was taken for which. A cell shows its photos below. */
export function Confusion({ tally, chosen, onChoose }: ConfusionProps) {
  const words = texts.look;
  const places = shownClasses(tally, MOST_CLASSES);
  const nameOf = (place: number) => tally.classes[place]?.name ?? '';
  return (
    <section class="card" aria-labelledby="confusion">
      <h3 id="confusion">{words.confusion}</h3>
      <p class="note">
        {words.confusionNote}{' '}
        {places.length < tally.classes.length && words.someClasses(places.length, tally.classes.length)}
      </p>
      <div class="table-box" role="region" tabIndex={0} aria-label={words.confusion}>
        <table class="confusion">
          <caption class="unseen">{words.confusionNote}</caption>
          <thead>
            <tr>
              <th scope="col">{words.corner}</th>
              {places.map((place) => (
                <th key={place} scope="col">
                  <bdi>{nameOf(place)}</bdi>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {places.map((label) => (
              <tr key={label}>
                <th scope="row">
                  <bdi>{nameOf(label)}</bdi>
                </th>
                {places.map((predicted) => {
                  const count = tally.counts[label]?.[predicted] ?? 0;
                  const isChosen = chosen?.label === label && chosen.predicted === predicted;
                  const share = String(count / Math.max(1, tally.classes[label]?.photos ?? 0));
                  return (
                    <td key={predicted} class={label === predicted ? 'right' : 'wrong'} style={{ '--share': share }}>
                      {count === 0 ? (
                        <span class="zero">0</span>
                      ) : (
                        <button
                          type="button"
                          aria-pressed={isChosen}
                          aria-label={words.cell(count, nameOf(label), nameOf(predicted))}
                          onClick={() => onChoose(isChosen ? undefined : { label, predicted })}
                        >
                          {inFull(count)}
                        </button>
                      )}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
