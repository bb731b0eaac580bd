import type { StudioRecommendation } from '../../api.js';
import { inTime, percent } from '../formatting.js';
import { texts } from '../texts.js';
import { Axes, Marker, timeScale, upScale } from './axes.js';

type Candidate = StudioRecommendation['policies'][number];
type Placed = Candidate & { readonly top1: number; readonly predictedMs: number };

const isPlaced = (candidate: Candidate): candidate is Placed =>
  candidate.top1 !== undefined && candidate.predictedMs !== undefined && candidate.predictedMs > 0;

/** Names so near each other, in the units of the drawing, would touch. */
const NEAR = 60;

/** From the quickest to the slowest; a name stands below where the one before stands above and is near. */
function labelled(placed: readonly Placed[], at: (ms: number) => number) {
  let [last, wasBelow] = [-Infinity, true];
  return placed
    .toSorted((a, b) => a.predictedMs - b.predictedMs)
    .map((candidate) => {
      const x = at(candidate.predictedMs);
      const isBelow = x - last < NEAR && !wasBelow;
      [last, wasBelow] = [x, isBelow];
      return { candidate, isBelow };
    });
}

/** Which policies give how much for how long: accuracy against time, each with its interval, and the chosen one as a full square. */
export function Scatter({ recommendation }: { readonly recommendation: StudioRecommendation }) {
  const words = texts.recommend;
  const placed = recommendation.policies.filter(isPlaced);
  if (placed.length < 2) return null;
  const across = timeScale(
    placed.map(({ predictedMs }) => predictedMs),
    inTime,
  );
  const ends = placed.flatMap(({ top1, interval }) => [top1, ...(interval ?? [])]);
  const up = upScale(ends, (share) => percent(share, 0), [0, 1]);
  return (
    <figure class="figure">
      <figcaption>{words.picture}</figcaption>
      <Axes label={words.pictureLabel(recommendation.policy)} across={across} up={up} acrossName={words.time}>
        {labelled(placed, across.at).map(({ candidate, isBelow }) => {
          const { policy, top1, predictedMs, interval = [top1, top1] } = candidate;
          const isChosen = policy === recommendation.policy;
          const [x, low, high] = [across.at(predictedMs), up.at(interval[0]), up.at(interval[1])];
          return (
            <g key={policy} class={isChosen ? 'candidate chosen' : 'candidate'}>
              <line class="whisker" x1={x} x2={x} y1={low} y2={high} />
              <Marker look={isChosen ? 1 : 0} x={x} y={up.at(top1)} />
              <text x={x} y={isBelow ? low + 16 : high - 6} text-anchor="middle">
                {policy}
              </text>
            </g>
          );
        })}
      </Axes>
    </figure>
  );
}
