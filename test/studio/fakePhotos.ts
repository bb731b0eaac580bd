import type { Binned, Predictions, Project, StudioClass, StudioPhoto } from '../../src/studio/api.js';

/** One photo in so many validates. */
const EVERY = 5;

export interface FakePhoto extends StudioPhoto {
  readonly hash: string;
}

type Kept = readonly [string, FakePhoto];

/** Photos of classes in memory, and a bin. */
export class FakePhotos {
  readonly byClass = new Map<string, FakePhoto[]>();
  private bins: { readonly bin: string; readonly what: string; readonly kept: readonly Kept[] }[] = [];
  private count = 0;

  /** @param classes how many photos each has. */
  constructor(classes: Readonly<Record<string, number>>) {
    for (const [name, count] of Object.entries(classes)) {
      const paths = Array.from({ length: count }, (_, index) => `${name}/${String(index).padStart(5, '0')}.jpg`);
      this.byClass.set(
        name,
        paths.map((path, index) => photoAt(path, path, index)),
      );
    }
  }

  get all(): FakePhoto[] {
    return [...this.byClass.values()].flat();
  }

  get classes(): StudioClass[] {
    return [...this.byClass].map(([name, photos]) => {
      const validate = photos.filter(({ split }) => split === 'validate').length;
      return { name, photos: photos.length, validate, test: 0 };
    });
  }

  get bin(): Project['bin'] {
    return this.bins.map(({ bin, what, kept }) => ({ bin, what, photos: kept.length }));
  }

  /** The photo of these bytes, and whether it was there. */
  add(name: string, file: string, hash: string): { readonly photo: FakePhoto; readonly isNew: boolean } {
    const list = this.byClass.get(name) ?? [];
    const same = list.find((photo) => photo.hash === hash);
    const photo = same ?? photoAt(`${name}/${file}`, hash, list.length);
    if (!same) this.byClass.set(name, [...list, photo]);
    return { photo, isNew: !same };
  }

  /** Where they lie then. */
  move(paths: readonly string[], to: string): string[] {
    return this.put(
      to,
      this.take(paths).map(([, photo]) => photo),
    );
  }

  rename(from: string, to: string): string[] {
    const photos = this.byClass.get(from) ?? [];
    this.byClass.delete(from);
    return this.put(to, photos);
  }

  binPhotos(paths: readonly string[]): Binned {
    return this.toBin(`${paths.length} photos`, this.take(paths));
  }

  binClass(name: string): Binned {
    const kept = (this.byClass.get(name) ?? []).map((photo): Kept => [name, photo]);
    this.byClass.delete(name);
    return this.toBin(`class ${name}`, kept);
  }

  restore(bin: string): number {
    const found = this.bins.find((each) => each.bin === bin);
    this.bins = this.bins.filter((each) => each !== found);
    for (const [name, photo] of found?.kept ?? []) this.put(name, [photo]);
    return found?.kept.length ?? 0;
  }

  /** Every seventh photo that validates, and was there from the beginning, is taken for the next class. */
  predictions(): Predictions {
    const classes = [...this.byClass.keys()];
    const photos = [...this.byClass.values()].flatMap((list, label) =>
      list
        .filter(({ split }) => split === 'validate')
        .map(({ path, stamp }, index) => {
          const isWrong = Number(/\/(\d+)\.jpg$/.exec(path)?.[1]) % 35 === 15;
          const predicted = isWrong ? (label + 1) % classes.length : label;
          const probability = isWrong ? 0.5 + (index % 40) / 100 : 0.7 + (index % 30) / 100;
          return { path, stamp, label, predicted, probability };
        }),
    );
    return { classes, photos };
  }

  private take(paths: readonly string[]): Kept[] {
    const wanted = new Set(paths);
    const taken: Kept[] = [];
    for (const [name, list] of this.byClass) {
      const out = list.filter(({ path }) => wanted.has(path));
      taken.push(...out.map((photo): Kept => [name, photo]));
      if (out.length > 0)
        this.byClass.set(
          name,
          list.filter(({ path }) => !wanted.has(path)),
        );
    }
    return taken;
  }

  private put(name: string, photos: readonly FakePhoto[]): string[] {
    const list = this.byClass.get(name) ?? [];
    const taken = new Set(list.map(({ path }) => path));
    const moved = photos.map((photo) => {
      const file = photo.path.split('/').at(-1) ?? '';
      const path = `${name}/${file}`;
      return { ...photo, path: taken.has(path) ? `${name}/other-${file}` : path };
    });
    this.byClass.set(name, [...list, ...moved]);
    return moved.map(({ path }) => path);
  }

  private toBin(what: string, kept: readonly Kept[]): Binned {
    const bin = String(++this.count);
    this.bins.push({ bin, what, kept });
    return { bin, photos: kept.length };
  }
}

function photoAt(path: string, hash: string, index: number): FakePhoto {
  return { path, stamp: hash.slice(-12), hash, split: index % EVERY === 0 ? 'validate' : 'train' };
}
