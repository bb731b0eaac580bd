import { type Content, type Markup, markup } from '../markup.js';
import type { Random } from '../random.js';
import { round, type PictureShape } from './pictureShapes.js';

/** How far a scene hides what it shows; shares from 0 to 1. */
export interface Nuisance {
  /** Least difference of lightness between shape and background. */
  readonly contrast: number;
  /** Chance that something covers a part of the shape. */
  readonly occlusion: number;
  /** Most scraps that lie about. */
  readonly distractors: number;
}

/**
 * One picture of `shape` as an SVG of `size` × `size` px, with a background, a light and a clutter of its own, so that a model
 * which tells the shapes apart must look at forms and textures rather than at colours and places.
 */
export function drawScene(shape: PictureShape, size: number, random: Random, nuisance: Nuisance): string {
  const lightness = random.between(0.1, 0.9);
  const hue = random.integer(360);
  const contrast = random.between(nuisance.contrast, nuisance.contrast + 0.25);
  const up = lightness < contrast + 0.05 || (lightness < 0.95 - contrast && random.next() < 0.5);
  const mainLightness = lightness + (up ? contrast : -contrast);
  const far =
    mainLightness > 0.5 ? mainLightness - random.between(0.3, 0.45) : mainLightness + random.between(0.3, 0.45);
  const main = colour(random, random.integer(360), mainLightness);
  const main2 = colour(random, random.integer(360), mainLightness);

  const definitions = [
    groundGradient(random, hue, lightness, 0.1),
    gradient(random, 'figure', main, main2),
    roughness(random, 'rough-ground'),
    roughness(random, 'rough-figure'),
  ];
  const paints = {
    main: random.next() < 0.4 && shape.kind === 'figure' ? 'url(#figure)' : main,
    accent: colour(random, random.integer(360), far),
  };
  const rough = (id: string, chance: number) => (random.next() < chance ? markup` filter="url(#${id})"` : '');
  const whole = markup`width="${size}" height="${size}"`;
  const ground = markup`<rect ${whole} fill="url(#ground)"${rough('rough-ground', 0.6)}/>`;
  const scraps = Array.from({ length: random.integer(nuisance.distractors + 1) }, () => scrap(random, size, lightness));
  const shown = place(shape, size, random, shape.draw(random, paints), rough('rough-figure', 0.35));
  const cover = random.next() < nuisance.occlusion ? occluder(random, size, colour(random, hue, lightness)) : '';
  return String(
    markup`<svg xmlns="http://www.w3.org/2000/svg" ${whole}><defs>${definitions}</defs>${ground}${scraps}${shown}${cover}</svg>`,
  );
}

function place(shape: PictureShape, size: number, random: Random, elements: Markup, filter: Content): Markup {
  const texture = shape.kind === 'texture';
  const radius = size * (texture ? random.between(0.38, 0.6) : random.between(0.24, 0.42));
  const room = Math.max(0.08, 0.5 - radius / size);
  const at = [0, 0].map(() => round(size * (0.5 + random.between(-room, room)))).join(',');
  const flip = random.pick([1, -1]);
  const scale = `${round(flip * radius * random.between(0.85, 1.1))},${round(radius * random.between(0.85, 1.1))}`;
  const turn = round(random.between(-shape.turn, shape.turn));
  const edge = random.pick([markup`<circle r="1.05"/>`, markup`<rect x="-1" y="-.9" width="2" height="1.8"/>`]);
  const patch = texture && random.next() < 0.5;
  const clip = patch ? markup`<clipPath id="patch">${edge}</clipPath>` : '';
  const clipped = patch ? markup` clip-path="url(#patch)"` : '';
  return markup`${clip}<g${filter}><g transform="translate(${at}) scale(${scale}) rotate(${turn})"${clipped}>${elements}</g></g>`;
}

/** Something small that says nothing of the class. */
export function scrap(random: Random, size: number, lightness: number): Markup {
  const [x, y] = [round(random.between(0, size)), round(random.between(0, size))];
  const far = size / 3;
  const [dx, dy] = [round(random.between(-far, far)), round(random.between(-far, far))];
  const paint = colour(random, random.integer(360), lightness + random.between(-0.3, 0.3));
  const opacity = round(random.between(0.4, 1));
  return random.pick([
    markup`<path d="M${x},${y} q${dy},${dx} ${dx},${dy}" fill="none" stroke="${paint}" stroke-width="${round(size * random.between(0.01, 0.04))}" opacity="${opacity}"/>`,
    markup`<ellipse cx="${x}" cy="${y}" rx="${round(size * random.between(0.02, 0.1))}" ry="${round(size * random.between(0.02, 0.1))}" fill="${paint}" opacity="${opacity}"/>`,
    markup`<path d="M${x},${y} l${dx},${dy} l${dy},${dx}z" fill="${paint}" opacity="${round(opacity / 2)}"/>`,
  ]);
}

/** A bar across a part of the picture, or a block at its rim. */
export function occluder(random: Random, size: number, paint: string): Markup {
  const thick = round(size * random.between(0.08, 0.18));
  const at = round(size * random.between(0.2, 0.75));
  return markup`<rect x="${-size}" y="${at}" width="${3 * size}" height="${thick}" fill="${paint}" transform="rotate(${random.integer(180)} ${size / 2} ${size / 2})"/>`;
}

function gradient(random: Random, id: string, from: string, to: string): Markup {
  const stops = markup`<stop stop-color="${from}"/><stop offset="1" stop-color="${to}"/>`;
  const [x, y] = [round(random.next()), round(random.next())];
  return random.next() < 0.6
    ? markup`<linearGradient id="${id}" x1="${x}" y1="${y}" x2="${1 - x}" y2="${1 - y}">${stops}</linearGradient>`
    : markup`<radialGradient id="${id}" cx="${x}" cy="${y}" r="${round(random.between(0.5, 1.2))}">${stops}</radialGradient>`;
}

/** The background's gradient, between two hues not far apart, darker and lighter by `by`. */
export function groundGradient(random: Random, hue: number, lightness: number, by: number): Markup {
  const darker = colour(random, hue, lightness - by);
  return gradient(random, 'ground', darker, colour(random, hue + random.between(-60, 60), lightness + by));
}

/** A filter that makes a surface uneven, from clouds to grain, alike in x and y or drawn out like wood or water. */
export function roughness(random: Random, id: string): Markup {
  const frequency = 2 ** random.between(-5, -1);
  const frequencies = `${round(frequency)} ${round(frequency * random.pick([1, 1, 0.3, 3]))}`;
  const strength = random.between(0.6, 1.8);
  // The last: surface · (strength · noise + 1 − strength/2), brighter and darker by turns, its alpha at least as it was.
  return markup`${[
    markup`<filter id="${id}" x="0" y="0" width="1" height="1" color-interpolation-filters="sRGB">`,
    markup`<feTurbulence type="${random.pick(['fractalNoise', 'turbulence'])}" baseFrequency="${frequencies}" numOctaves="2" seed="${random.integer(10000)}"/>`,
    markup`<feColorMatrix values="1 .5 0 0 0  1 .3 .2 0 0  1 0 .5 0 0  0 0 0 0 1" result="noise"/>`,
    markup`<feComposite in="SourceGraphic" in2="noise" operator="arithmetic" k1="${round(strength)}" k2="${round(1 - strength / 2)}"/></filter>`,
  ]}`;
}

export function colour(random: Random, hue: number, lightness: number): string {
  const percent = Math.round(100 * Math.min(0.97, Math.max(0.03, lightness)));
  return `hsl(${Math.round(hue + 360) % 360},${random.integer(90)}%,${percent}%)`;
}
