import { markup } from '../markup.js';
import type { Random } from '../random.js';
import { type PictureShape, round } from './pictureShapes.js';
import { colour, groundGradient, type Nuisance, occluder, roughness, scrap } from './scene.js';

/** Where things stand, as shares of a picture's sides. */
const PLACES = [0.27, 0.73].flatMap((x) => [0.27, 0.73].map((y) => [x, y] as const));

/** How often a picture holds none, one, two … things. */
const COUNTS = [0.05, 0.25, 0.35, 0.25, 0.1];
/** The last thing is so many times as rare as the first. */
const RARENESS = 4;

/** Which of so many things a picture holds, as their indices in their order: some are rarer than others. */
export function drawThings(things: number, random: Random): number[] {
  const at = random.next();
  let sum = 0;
  const count = COUNTS.findIndex((share) => at < (sum += share));
  const weights = Array.from({ length: things }, (_, thing) => RARENESS ** (-thing / Math.max(1, things - 1)));
  // The largest keys are a draw without replacement by weight (Efraimidis, Spirakis 2006).
  const keys = weights.map((weight, thing) => ({ thing, key: random.next() ** (1 / weight) }));
  const chosen = keys.sort((a, b) => b.key - a.key).slice(0, Math.max(0, count));
  return chosen.map(({ thing }) => thing).sort((a, b) => a - b);
}

/** One picture of several things side by side as an SVG of `size` × `size` px, each in colours, a size and a place of its own. */
export function drawSeveralThings(
  shapes: readonly PictureShape[],
  size: number,
  random: Random,
  nuisance: Nuisance,
): string {
  const lightness = random.between(0.15, 0.85);
  const hue = random.integer(360);
  const definitions = [groundGradient(random, hue, lightness, 0.08), roughness(random, 'rough-ground')];
  const whole = markup`width="${size}" height="${size}"`;
  const ground = markup`<rect ${whole} fill="url(#ground)"${random.next() < 0.6 ? markup` filter="url(#rough-ground)"` : ''}/>`;
  const scraps = Array.from({ length: random.integer(nuisance.distractors + 1) }, () => scrap(random, size, lightness));
  const places = random.shuffle([...PLACES]);
  const shown = shapes.map((shape, index) => {
    const [x, y] = (places[index] ?? [0.5, 0.5]).map((share) => round(size * (share + random.between(-0.06, 0.06))));
    const contrast = random.between(nuisance.contrast, nuisance.contrast + 0.25);
    const own = lightness > 0.5 ? lightness - contrast : lightness + contrast;
    const far = own > 0.5 ? own - random.between(0.3, 0.45) : own + random.between(0.3, 0.45);
    const paints = {
      main: colour(random, random.integer(360), own),
      accent: colour(random, random.integer(360), far),
    };
    const radius = size * random.between(0.15, 0.23);
    const scale = `${round(random.pick([1, -1]) * radius)},${round(radius * random.between(0.85, 1.1))}`;
    const turn = round(random.between(-shape.turn, shape.turn));
    return markup`<g transform="translate(${x ?? 0},${y ?? 0}) scale(${scale}) rotate(${turn})">${shape.draw(random, paints)}</g>`;
  });
  const cover = random.next() < nuisance.occlusion ? occluder(random, size, colour(random, hue, lightness)) : '';
  return String(
    markup`<svg xmlns="http://www.w3.org/2000/svg" ${whole}><defs>${definitions}</defs>${ground}${scraps}${shown}${cover}</svg>`,
  );
}
