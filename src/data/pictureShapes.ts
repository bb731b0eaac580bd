import { type Markup, markup } from '../markup.js';
import type { Random } from '../random.js';

/** Paints of one shape, as SVG writes them. */
interface Paints {
  readonly main: string;
  /** For details: a door, an eye, a sail. */
  readonly accent: string;
}

/**
 * SVG elements of one example, in the square from −1 to 1, y downwards. A figure stands somewhere in the picture; a texture
 * fills the square from −2 to 2, and the background shows through.
 */
export interface PictureShape {
  readonly kind: 'figure' | 'texture';
  /** Degrees by which an example may be turned either way. */
  readonly turn: number;
  draw(random: Random, paints: Paints): Markup;
}

type Point = readonly [x: number, y: number];

const SQUARE: Point[] = [
  [-1, -1],
  [1, -1],
  [1, 1],
  [-1, 1],
];
const ARROW: Point[] = [
  [0, -1],
  [0.75, -0.1],
  [0.28, -0.1],
  [0.28, 1],
  [-0.28, 1],
  [-0.28, -0.1],
  [-0.75, -0.1],
];

/** What the embedded model is pretrained on: forms, strokes and textures in general. */
export const pretrainShapes: Readonly<Record<string, PictureShape>> = {
  arrow: figure(180, (random, { main }) => polygon(widened(ARROW, random.between(0.7, 1.2)), main)),
  blobs: texture(180, blobs),
  checker: texture(45, checker),
  comb: figure(180, (random, { main }) =>
    stroke('M-.6,-.9 V.9 M-.6,-.85 H.7 M-.6,0 H.55 M-.6,.85 H.7', main, random.between(0.22, 0.38)),
  ),
  crescent: figure(180, (random, { main }) => {
    const inner = round(random.between(1.02, 1.25));
    return markup`<path d="M0,-1 A1,1 0 1 0 0,1 A${inner},${inner} 0 0 1 0,-1z" fill="${main}" transform="translate(.4)"/>`;
  }),
  cross: figure(45, (random, { main }) => stroke('M-1,0 H1 M0,-1 V1', main, random.between(0.3, 0.6))),
  disc: figure(
    180,
    (random, { main }) => markup`<ellipse rx="1" ry="${round(random.between(0.75, 1))}" fill="${main}"/>`,
  ),
  dots: texture(45, dots),
  grid: texture(45, (random, { main }) => {
    const step = random.between(0.4, 0.7);
    const lines = ticks(step).map((at) => `M-2,${at} H2 M${at},-2 V2`);
    return stroke(lines.join(' '), main, step * random.between(0.15, 0.35));
  }),
  hexagon: figure(180, (_, { main }) => polygon(regular(6), main)),
  ring: figure(180, (random, { main }) => {
    const width = random.between(0.15, 0.45);
    return markup`<circle r="${round(1 - width / 2)}" fill="none" stroke="${main}" stroke-width="${round(width)}"/>`;
  }),
  spiral: figure(180, (random, { main }) => {
    const turns = random.between(2, 3.2);
    const hand = random.pick([1, -1]);
    const path = Array.from({ length: 60 }, (_, step): Point => {
      const angle = hand * 2 * Math.PI * turns * (step / 59);
      return [(step / 59) * Math.cos(angle), (step / 59) * Math.sin(angle)];
    });
    return stroke(`M${points(path)}`, main, random.between(0.1, 0.2));
  }),
  square: figure(180, (random, { main }) => polygon(widened(SQUARE, random.between(0.75, 1), 0.85), main)),
  star: figure(180, (random, { main }) => polygon(star(random.pick([5, 5, 6, 7]), random.between(0.35, 0.5)), main)),
  'stripes-diagonal': texture(8, (random, paints) => turned(random.pick([45, -45]), stripes(random, paints))),
  'stripes-flat': texture(10, stripes),
  'stripes-upright': texture(10, (random, paints) => turned(90, stripes(random, paints))),
  triangle: figure(180, (random, { main }) => polygon(widened(regular(3), random.between(0.75, 1.15)), main)),
  waves: texture(180, waves),
  zigzag: figure(180, (random, { main }) => {
    const corners = 4 + random.integer(3);
    const height = random.between(0.3, 0.55);
    const path = Array.from({ length: corners }, (_, at): Point => [
      -1 + (2 * at) / (corners - 1),
      at % 2 ? height : -height,
    ]);
    return stroke(`M${points(path)}`, main, random.between(0.15, 0.28));
  }),
};

/** What the demo retrains the model for: things, none of them a shape of the pretraining. */
export const demoShapes: Readonly<Record<string, PictureShape>> = {
  boat: figure(20, (random, { main, accent }) => {
    const deck = round(random.between(0.3, 0.5));
    const top = round(random.between(-1, -0.8));
    const hull = markup`<path d="M-1,${deck} H1 L${round(random.between(0.55, 0.75))},.9 H${round(random.between(-0.75, -0.5))}z" fill="${main}"/>`;
    const sail = polygon(
      [
        [0.06, top],
        [random.between(0.6, 0.9), deck - 0.12],
        [0.06, deck - 0.12],
      ],
      accent,
    );
    const second = polygon(
      [
        [-0.08, top + 0.2],
        [-random.between(0.45, 0.75), deck - 0.12],
        [-0.08, deck - 0.12],
      ],
      accent,
    );
    return markup`${hull}${stroke(`M0,${top} V${deck}`, main, 0.09)}${sail}${random.next() < 0.6 ? second : ''}`;
  }),
  cup: figure(20, (random, { main, accent }) => {
    const foot = random.between(0.4, 0.68);
    const rim = round(random.between(-0.7, -0.4));
    const body = markup`<path d="M-.75,${rim} H.6 L${round(foot)},.85 H${round(-foot - 0.1)}z" fill="${main}"/>`;
    const handle = markup`<ellipse cx=".66" cy=".12" rx="${round(random.between(0.25, 0.36))}" ry="${round(random.between(0.25, 0.4))}" fill="none" stroke="${main}" stroke-width=".15"/>`;
    const mouth = markup`<ellipse cx="-.075" cy="${rim}" rx=".67" ry="${round(random.between(0.06, 0.2))}" fill="${accent}"/>`;
    const steam = stroke(`M-.3,${rim - 0.2} q.15,-.15 0,-.3 M.15,${rim - 0.2} q.15,-.15 0,-.3`, accent, 0.08);
    return markup`${handle}${body}${mouth}${random.next() < 0.4 ? steam : ''}`;
  }),
  fish: figure(25, (random, { main, accent }) => {
    const height = round(random.between(0.35, 0.6));
    const fork = random.between(0.3, 0.6);
    const body = markup`<ellipse cx=".15" rx=".8" ry="${height}" fill="${main}"/>`;
    const tail = polygon(
      [
        [-0.45, 0],
        [-1, -fork],
        [-random.between(0.75, 0.95), 0],
        [-1, fork],
      ],
      main,
    );
    const fin = markup`<path d="M-.1,${-height * 0.9} q.25,-.45 .5,-.1z M0,${height * 0.9} q.05,.3 .3,.3 v-.35z" fill="${accent}"/>`;
    const bars = stroke(
      `M0,${-height * 0.7} q.15,${height * 0.7} 0,${height * 1.4} M-.25,${-height * 0.5} v${height}`,
      accent,
      0.08,
    );
    return markup`${fin}${tail}${body}${random.next() < 0.5 ? bars : ''}<circle cx=".6" cy="-.1" r=".09" fill="${accent}"/>`;
  }),
  flower: figure(25, (random, { main, accent }) => {
    const petals = 5 + random.integer(4);
    const width = round(random.between(0.14, 0.26));
    const stem = stroke('M0,-.2 Q.1,.4 -.05,1 M.02,.6 q.3,-.3 .45,-.2', accent, 0.1);
    const crown = Array.from({ length: petals }, (_, at) =>
      turned((360 * at) / petals, markup`<ellipse cy="-.38" rx="${width}" ry=".32" fill="${main}"/>`),
    );
    return markup`${stem}<g transform="translate(0,-.3)">${crown}<circle r=".2" fill="${accent}"/></g>`;
  }),
  house: figure(15, (random, { main, accent }) => {
    const eaves = round(random.between(-0.25, 0.1));
    const wall = random.between(0.6, 0.8);
    const walls = markup`<rect x="${round(-wall)}" y="${eaves}" width="${round(2 * wall)}" height="${round(0.9 - eaves)}" fill="${main}"/>`;
    const roof = polygon(
      [
        [-wall - 0.2, eaves],
        [random.between(-0.15, 0.15), -0.95],
        [wall + 0.2, eaves],
      ],
      random.pick([main, accent]),
    );
    const chimney = markup`<rect x=".35" y="-.85" width=".2" height=".5" fill="${main}"/>`;
    const door = markup`<rect x="${round(random.between(-0.5, 0.2))}" y=".35" width=".28" height=".55" fill="${accent}"/>`;
    return markup`${random.next() < 0.5 ? chimney : ''}${walls}${roof}${door}`;
  }),
  tree: figure(15, (random, { main, accent }) => {
    const trunk = markup`<rect x="-.12" y=".2" width="${round(random.between(0.18, 0.3))}" height=".8" fill="${accent}"/>`;
    if (random.next() < 0.5) {
      const tiers = 2 + random.integer(2);
      const fir = Array.from({ length: tiers }, (_, at) => {
        const top = -1 + (at * 1.1) / tiers;
        const half = 0.4 + (0.4 * at) / tiers;
        return polygon(
          [
            [0, top],
            [half, top + 0.75],
            [-half, top + 0.75],
          ],
          main,
        );
      });
      return markup`${trunk}${fir}`;
    }
    const crown = Array.from({ length: 5 }, () =>
      disc([random.between(-0.4, 0.4), random.between(-0.6, 0)], random.between(0.3, 0.45), main),
    );
    return markup`${trunk}${crown}`;
  }),
};

function figure(turn: number, draw: PictureShape['draw']): PictureShape {
  return { kind: 'figure', turn, draw };
}

function texture(turn: number, draw: PictureShape['draw']): PictureShape {
  return { kind: 'texture', turn, draw };
}

function stripes(random: Random, { main }: Paints): Markup {
  const step = random.between(0.35, 0.65);
  const lines = ticks(step, 3).map((at) => `M-3,${at} H3`);
  return stroke(lines.join(' '), main, step * random.between(0.35, 0.6));
}

function waves(random: Random, { main }: Paints): Markup {
  const step = random.between(0.4, 0.6);
  const length = random.between(0.35, 0.6);
  const lines = ticks(step).map(
    (at) =>
      `M-2.5,${at} q${round(length / 2)},${round(-length)} ${round(length)},0 ${`t${round(length)},0 `.repeat(Math.ceil(5 / length))}`,
  );
  return stroke(lines.join(' '), main, step * random.between(0.25, 0.4));
}

function checker(random: Random, { main }: Paints): Markup {
  const step = random.between(0.35, 0.65);
  const cells = ticks(step).flatMap((y, row) =>
    ticks(step).flatMap((x, column) =>
      (row + column) % 2 ? [`M${x},${y} h${round(step)} v${round(step)} h${round(-step)}z`] : [],
    ),
  );
  return markup`<path d="${cells.join(' ')}" fill="${main}"/>`;
}

function dots(random: Random, { main }: Paints): Markup {
  const step = random.between(0.4, 0.7);
  const radius = step * random.between(0.22, 0.36);
  const shift = random.pick([0, step / 2]);
  const all = ticks(step).flatMap((y, row) =>
    ticks(step).map((x) => disc([x + (row % 2 ? shift : 0), y], radius, main)),
  );
  return markup`${all}`;
}

function blobs(random: Random, { main, accent }: Paints): Markup {
  const count = 14 + random.integer(14);
  const all = Array.from({ length: count }, () => {
    const at: Point = [random.between(-1.6, 1.6), random.between(-1.6, 1.6)];
    const [rx, ry] = [round(random.between(0.12, 0.4)), round(random.between(0.12, 0.4))];
    const paint = random.pick([main, main, accent]);
    return markup`<ellipse rx="${rx}" ry="${ry}" fill="${paint}" transform="translate(${points([at])}) rotate(${random.integer(180)})"/>`;
  });
  return markup`${all}`;
}

/** Multiples of `step` from −reach to reach. */
function ticks(step: number, reach = 2): number[] {
  const each = Math.ceil(reach / step);
  return Array.from({ length: 2 * each + 1 }, (_, at) => round((at - each) * step));
}

function regular(corners: number): Point[] {
  return Array.from({ length: corners }, (_, at): Point => polar((2 * Math.PI * at) / corners, 1));
}

function star(spikes: number, inner: number): Point[] {
  return Array.from({ length: 2 * spikes }, (_, at): Point => polar((Math.PI * at) / spikes, at % 2 ? inner : 1));
}

function polar(angle: number, radius: number): Point {
  return [radius * Math.sin(angle), -radius * Math.cos(angle)];
}

function widened(path: readonly Point[], width: number, height = 1): Point[] {
  return path.map(([x, y]): Point => [x * width, y * height]);
}

function polygon(path: readonly Point[], paint: string): Markup {
  return markup`<polygon points="${points(path)}" fill="${paint}"/>`;
}

function disc([x, y]: Point, radius: number, paint: string): Markup {
  return markup`<circle cx="${round(x)}" cy="${round(y)}" r="${round(radius)}" fill="${paint}"/>`;
}

function stroke(path: string, paint: string, width: number): Markup {
  return markup`<path d="${path}" fill="none" stroke="${paint}" stroke-width="${round(width)}"/>`;
}

function turned(degrees: number, elements: Markup): Markup {
  return markup`<g transform="rotate(${round(degrees)})">${elements}</g>`;
}

function points(path: readonly Point[]): string {
  return path.map(([x, y]) => `${round(x)},${round(y)}`).join(' ');
}

/** Three decimals are a thousandth of a picture; and the same text wherever the last bits of a sine differ. */
export function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
