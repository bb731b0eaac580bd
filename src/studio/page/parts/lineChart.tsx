import { texts } from '../texts.js';
import { Axes, LOOKS, Marker, upScale, wholeScale } from './axes.js';

export interface ChartLine {
  readonly name: string;
  /** Epochs and values, from left to right. */
  readonly points: readonly (readonly [number, number])[];
}

interface LineChartProps {
  readonly title: string;
  readonly lines: readonly ChartLine[];
  /** A value as text. */
  readonly text: (value: number) => string;
  readonly bounds?: readonly [number, number];
}

/** Beyond so many points markers would hide the line. */
const MOST_MARKERS = 24;

/** Lines over epochs; the numbers stand in a table below. */
export function LineChart({ title, lines, text, bounds }: LineChartProps) {
  const drawn = lines.filter(({ points }) => points.length > 0);
  const all = drawn.flatMap(({ points }) => points).filter(([, value]) => Number.isFinite(value));
  if (all.length === 0) return null;
  const epochs = all.map(([epoch]) => epoch);
  const across = wholeScale(Math.min(...epochs), Math.max(...epochs));
  const up = upScale(
    all.map(([, value]) => value),
    text,
    bounds,
  );
  return (
    <figure class="figure">
      <figcaption>{title}</figcaption>
      <Axes
        label={texts.chart.label(title, drawn.map(lastOf(text)))}
        across={across}
        up={up}
        acrossName={texts.chart.epoch}
      >
        {drawn.map(({ name, points }) => {
          const look = lines.findIndex((line) => line.name === name);
          const seen = points.filter(([, value]) => Number.isFinite(value));
          const path = seen.map(([x, y], index) => `${index === 0 ? 'M' : 'L'}${across.at(x)} ${up.at(y)}`).join('');
          const every = Math.ceil(seen.length / MOST_MARKERS);
          return (
            <g key={name}>
              <path class={`line look-${look % LOOKS}`} d={path} />
              {seen.map(([x, y], index) =>
                (seen.length - 1 - index) % every === 0 ? (
                  <Marker key={x} look={look} x={across.at(x)} y={up.at(y)} />
                ) : null,
              )}
            </g>
          );
        })}
      </Axes>
      {lines.length > 1 && <Legend names={lines.map(({ name }) => name)} />}
      <Numbers title={title} lines={drawn} text={text} />
    </figure>
  );
}

/** What a line has come to. */
const lastOf =
  (text: (value: number) => string) =>
  ({ name, points }: ChartLine): string =>
    `${name} ${text(points.at(-1)?.[1] ?? NaN)}`;

function Legend({ names }: { readonly names: readonly string[] }) {
  return (
    <ul class="legend">
      {names.map((name, look) => (
        <li key={name}>
          <svg viewBox="0 0 36 14" aria-hidden="true">
            <path class={`line look-${look % LOOKS}`} d="M2 7H34" />
            <Marker look={look} x={18} y={7} />
          </svg>
          <bdi>{name}</bdi>
        </li>
      ))}
    </ul>
  );
}

function Numbers({ title, lines, text }: Omit<LineChartProps, 'bounds'>) {
  const values = lines.map(({ points }) => new Map(points));
  const epochs = [...new Set(values.flatMap((each) => [...each.keys()]))].sort((a, b) => a - b);
  return (
    <details class="numbers">
      <summary>{texts.chart.numbers}</summary>
      <div class="table-box" role="region" tabIndex={0} aria-label={title}>
        <table>
          <caption class="unseen">{title}</caption>
          <thead>
            <tr>
              <th scope="col">{texts.chart.epoch}</th>
              {lines.map(({ name }) => (
                <th key={name} scope="col">
                  <bdi>{name}</bdi>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {epochs.map((epoch) => (
              <tr key={epoch}>
                <th scope="row">{epoch}</th>
                {values.map((each, index) => {
                  const value = each.get(epoch);
                  return <td key={lines[index]?.name}>{value === undefined ? '' : text(value)}</td>;
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
