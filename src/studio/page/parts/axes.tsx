import type { ComponentChildren } from 'preact';

/** Of a drawing, in its own units. */
export const [WIDTH, HEIGHT] = [520, 250];
const [LEFT, RIGHT, TOP, BOTTOM] = [58, 14, 14, 44];

/** Places a value of an axis, and names some of its values. */
export interface Scale {
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
  readonly text: (value: number) => string;
}

/** Steps of 1, 2 or 5 times a power of ten. */
function stepOf(span: number, most: number): number {
  const power = 10 ** Math.floor(Math.log10(span / most));
  return ([1, 2, 5].find((factor) => span / power / factor <= most) ?? 10) * power;
}

function ticksOf(low: number, high: number, most: number, least: number): number[] {
  const step = Math.max(least, stepOf(high - low || 1, most));
  const ticks: number[] = [];
  for (let index = Math.ceil(low / step - 1e-6); index * step <= high + step * 1e-6; index++) ticks.push(index * step);
  return ticks;
}

/** From left to right over whole numbers, such as epochs. */
export function wholeScale(low: number, high: number): Scale {
  const span = Math.max(1, high - low);
  const at = (value: number) => LEFT + ((value - low) / span) * (WIDTH - LEFT - RIGHT);
  return { at, ticks: ticksOf(low, low + span, 10, 1), text: String };
}

/** Times that read well, in s. */
const TIMES = [0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 18_000, 36_000, 86_400, 259_200];
const MOST_TIMES = 5;

/** From left to right over times in ms, each step as many times as long as the one before. */
export function timeScale(values: readonly number[], text: (value: number) => string): Scale {
  const [low, high] = [Math.min(...values) / 1.5, Math.max(...values) * 1.9];
  const at = (value: number) => LEFT + (Math.log(value / low) / Math.log(high / low)) * (WIDTH - LEFT - RIGHT);
  const ticks = TIMES.map((seconds) => 1000 * seconds).filter((time) => time >= low && time <= high);
  const every = Math.ceil(ticks.length / MOST_TIMES);
  return { at, ticks: ticks.filter((_, index) => index % every === 0), text };
}

/** From the bottom to the top. */
export function upScale(
  values: readonly number[],
  text: (value: number) => string,
  bounds?: readonly [number, number],
): Scale {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  [low, high] = [low - room, high + room];
  if (bounds) [low, high] = [Math.max(bounds[0], low), Math.min(bounds[1], high)];
  const at = (value: number) => HEIGHT - BOTTOM - ((value - low) / (high - low || 1)) * (HEIGHT - TOP - BOTTOM);
  return { at, ticks: ticksOf(low, high, 5, 0), text };
}

interface AxesProps {
  /** What a screen reader says in place of the picture. */
  readonly label: string;
  readonly across: Scale;
  readonly up: Scale;
  readonly acrossName: string;
  readonly children: ComponentChildren;
}

/** A drawing with its two axes. */
export function Axes({ label, across, up, acrossName, children }: AxesProps) {
  return (
    <svg class="chart" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label}>
      {up.ticks.map((value) => (
        <g key={value}>
          <line class="grid-line" x1={LEFT} x2={WIDTH - RIGHT} y1={up.at(value)} y2={up.at(value)} />
          <text x={LEFT - 8} y={up.at(value) + 4} text-anchor="end">
            {up.text(value)}
          </text>
        </g>
      ))}
      {across.ticks.map((value) => (
        <text key={value} x={across.at(value)} y={HEIGHT - BOTTOM + 17} text-anchor="middle">
          {across.text(value)}
        </text>
      ))}
      <line class="axis" x1={LEFT} x2={WIDTH - RIGHT} y1={HEIGHT - BOTTOM} y2={HEIGHT - BOTTOM} />
      <text x={(LEFT + WIDTH - RIGHT) / 2} y={HEIGHT - 6} text-anchor="middle">
        {acrossName}
      </text>
      {children}
    </svg>
  );
}

/** Shapes tell lines apart where colours do not. */
const SHAPES = [
  'M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0',
  'M-4 -4h8v8h-8z',
  'M0 -5L5 4H-5z',
  'M0 -5.5L5.5 0L0 5.5L-5.5 0z',
  'M0 5L5 -4H-5z',
  'M-5 -1.5h3.5v-3.5h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5z',
];
/** So many lines have looks of their own. */
export const LOOKS = SHAPES.length;

export function Marker({ look, x, y }: { readonly look: number; readonly x: number; readonly y: number }) {
  return (
    <path class={`marker look-${look % LOOKS}`} d={SHAPES[look % LOOKS] ?? ''} transform={`translate(${x} ${y})`} />
  );
}
