/** Where a training stands. Steps count from 0; `total` and `warmup` are numbers of steps. */
interface StepPosition {
  readonly step: number;
  readonly total: number;
  readonly warmup: number;
}

/** The share of the peak learning rate that a step takes. */
type Schedule = (progress: StepPosition) => number;

/** The part of the way from the end of the warm-up to the end of the training, 0 to 1. */
const share = ({ step, total, warmup }: StepPosition) => (step - warmup) / Math.max(1, total - warmup);
const halfCosine = (from: number, to: number, part: number) => to + ((from - to) * (1 + Math.cos(Math.PI * part))) / 2;

/** Rises linearly through the warm-up before it does what `schedule` says. */
const warmed =
  (schedule: Schedule): Schedule =>
  (progress) =>
    progress.step < progress.warmup ? (progress.step + 1) / (progress.warmup + 1) : schedule(progress);

const schedules = {
  /** Falls along half a cosine to 0 (Loshchilov and Hutter 2017). */
  cosine: warmed((progress) => halfCosine(1, 0, share(progress))),
  /** Falls along a line to 0. */
  linear: warmed((progress) => 1 - share(progress)),
  /** Falls to a tenth at one half of the way and again at three quarters (He et al. 2016, on CIFAR-10). */
  step: warmed((progress) => (share(progress) < 0.5 ? 1 : share(progress) < 0.75 ? 0.1 : 0.01)),
  constant: warmed(() => 1),
  /** Rises from 1/25 through 30 % of the way, then falls to 1/250,000 (Smith and Topin 2018; PyTorch's numbers). No warm-up of its own. */
  'one-cycle': ({ step, total }) => {
    const last = Math.max(1, total - 1);
    // Never 0, for a whole number of steps; before the first step where there are three or fewer.
    const top = 0.3 * total - 1;
    return step <= top ? halfCosine(1 / 25, 1, step / top) : halfCosine(1, 1 / 25e4, (step - top) / (last - top));
  },
  /** Constant, but for what {@link Plateau} takes off. */
  plateau: warmed(() => 1),
} as const satisfies Record<string, Schedule>;

export type ScheduleName = keyof typeof schedules;
export const scheduleNames: readonly ScheduleName[] = ['cosine', 'linear', 'step', 'constant', 'one-cycle', 'plateau'];

/** The share of the peak learning rate that a step of a schedule takes, 0 to 1. */
export function shareOfPeak(name: ScheduleName, progress: StepPosition): number {
  return schedules[name](progress);
}

/** Takes the learning rate down to a tenth each time that the validation loss has not fallen for `patience` epochs. */
export class Plateau {
  /** What the learning rate is multiplied by. */
  factor = 1;
  private best = Infinity;
  private waited = 0;

  constructor(private readonly patience: number) {}

  observe(loss: number): void {
    // PyTorch's threshold: less of a gain than a ten-thousandth does not count.
    if (loss < this.best * (1 - 1e-4)) {
      this.best = loss;
      this.waited = 0;
    } else if (++this.waited > this.patience) {
      this.factor /= 10;
      this.waited = 0;
    }
  }
}
