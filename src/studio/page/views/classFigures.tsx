import { inFull, percent } from '../formatting.js';
import { Bar } from '../parts/bar.js';
import type { Tally } from '../tallies.js';
import { texts } from '../texts.js';

const orNone = (share: number | undefined) => (share === undefined ? texts.look.none : percent(share));

/** Precision and recall of each class. */
export function ClassFigures({ tally }: { readonly tally: Pick<Tally, 'classes'> }) {
  const words = texts.look;
  return (
    <section class="card" aria-labelledby="figures">
      <h3 id="figures">{words.figures}</h3>
      <div class="table-box tall" role="region" tabIndex={0} aria-label={words.figures}>
        <table>
          <caption class="unseen">{words.figures}</caption>
          <thead>
            <tr>
              <th scope="col">{words.class}</th>
              <th scope="col">{words.photos}</th>
              <th scope="col">{words.precision}</th>
              <th scope="col">{words.recall}</th>
            </tr>
          </thead>
          <tbody>
            {tally.classes.map(({ name, photos, precision, recall }) => (
              <tr key={name}>
                <th scope="row">
                  <bdi>{name}</bdi>
                </th>
                <td>{inFull(photos)}</td>
                <td>
                  {orNone(precision)}
                  {precision !== undefined && <Bar share={precision} />}
                </td>
                <td>
                  {orNone(recall)}
                  {recall !== undefined && <Bar share={recall} />}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="note">{words.figuresNote}</p>
    </section>
  );
}
