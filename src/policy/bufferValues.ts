/** What names of tensors and the numbers in them say of whether a network has learned them. Numbers lie row-major in `dims`. */

/** Last words of names that frameworks give to what is learned. */
const LEARNED =
  /(^|[._/])(weights?|bias(es)?|kernel|gamma|beta|gain|slope|alpha|lambda|temperature|(cls|class|dist|distillation|mask|reg|register|storage)_?tokens?|pos(ition(al)?)?_?(emb(ed(ding|dings)?)?)|embeddings?|layer_?scale|ls|logit_scale|resweight|(relative_position_bias_|attention_bias_)?table|attention_biases|scale|shift)(_?\d+)?(_[a-z]{1,3})?(:\d+)?$/i;
/** Words that are as often a number of the program: learned where they stand in a module, as in `blocks.0.scale`. */
const AMBIGUOUS = /(?<!logit_|layer_?)(scale|shift|alpha|table)(_?\d+)?(:\d+)?$/i;
const BUFFERS =
  /(running|moving)_?(mean|var|variance|std)|(attn|attention|causal|window|padding|key)_?mask|inv_?freq|(^|[._/])((sin|cos|freqs(_c\w*)?|rope|rotary)(_?(cached?|table|emb\w*))?|anchors|grid|mask|(rel\w*_)?coords(_table)?|(pixel|image|img|rgb)_?(mean|std)|mean|std|var|variance|stddev)(_?\d+)?(:\d+)?$/i;
/** Names that exporters make up for the constants of a program. */
const GENERATED = /(^|[/._:])const(ant)?(s?[_.:/\d]|$)|^(v|val_|)\d+$/i;

/** Whether a name says that its tensor is learned. */
export function soundsLearned(name: string): boolean {
  return LEARNED.test(name) && !BUFFERS.test(name);
}

/** The same of a single number, of which programs have many by themselves. */
export function soundsLearnedAlone(name: string): boolean {
  if (/\.p$/.test(name)) return true;
  return soundsLearned(name) && (name.includes('.') || !AMBIGUOUS.test(name));
}

/** Whether a name says that its tensor is kept beside the parameters, as a framework's buffers are. */
export const soundsKept = (name: string) => BUFFERS.test(name);

/** Whether an exporter has made up the name. */
export const isGenerated = (name: string) => GENERATED.test(name);

/** Below it, softmax gives nothing. */
const MASKED = -50;
/** What no weight reaches. */
const LARGEST = 1e30;

/** Says what the numbers of a tensor called `name` are that nobody has learned; undefined where they may be learned. */
export function readValues(name: string, data: Float32Array, dims: readonly number[]): string | undefined {
  if (!data.every((x) => Number.isFinite(x) && Math.abs(x) < LARGEST)) return 'an attention mask';
  if (data.every((x) => x === data[0])) return undefined;
  if (data.every((x) => x === 0 || x <= MASKED)) return 'an attention mask';
  if (soundsLearned(name)) return undefined;
  if (isRotation(data, dims.at(-1) ?? 1)) return 'a table of sines and cosines';
  if (dims.filter((dim) => dim > 1).length < 2) return isCount(data) ? 'a table of integers' : undefined;
  if (data.every((x) => x === 0 || x === 1)) return 'a mask of zeros and ones';
  return data.every((x) => Number.isInteger(x)) ? 'a table of integers' : undefined;
}

/** Whether a row counts: 0, 1, 2, … */
const isCount = (data: Float32Array) => data.length > 2 && data.every((x, index) => x === (data[0] ?? 0) + index);

const TOLERANCE = 1e-3;

/** Whether two tensors are the sines and cosines of the same angles. */
export function areSinesAndCosines(a: Float32Array, b: Float32Array): boolean {
  if (a.length !== b.length || a.length < 4 || !varies(a) || !varies(b)) return false;
  return a.every((x, index) => onCircle(x, b[index] ?? 0));
}

const varies = (data: Float32Array) => data.some((x) => x !== data[0]);
const onCircle = (x: number, y: number) => Math.abs(x * x + y * y - 1) < TOLERANCE;

/** Whether each row holds sines and cosines of the same angles: by halves, by halves of halves, or by turns. */
function isRotation(data: Float32Array, width: number): boolean {
  if (data.length < 8) return false;
  const pairs = (partner: (column: number) => number | undefined): boolean =>
    data.every((x, index) => {
      const column = index % width;
      const other = partner(column);
      return other === undefined || onCircle(x, data[index - column + other] ?? 0);
    });
  const byParts = (parts: number) => {
    const size = width / parts;
    return (
      Number.isInteger(size) && pairs((column) => (Math.floor(column / size) % 2 === 0 ? column + size : undefined))
    );
  };
  return (
    byParts(2) || byParts(4) || (width % 2 === 0 && pairs((column) => (column % 2 === 0 ? column + 1 : undefined)))
  );
}

/** Whether depthwise kernels are one and the same that blurs: of a sum of 1, symmetric, nowhere negative. */
export function isBlur(data: Float32Array, kernels: number): boolean {
  const size = data.length / kernels;
  const kernel = data.subarray(0, size);
  const sum = kernel.reduce((total, x) => total + x, 0);
  return (
    size > 1 &&
    Math.abs(sum - 1) < TOLERANCE &&
    kernel.every((x, index) => x >= 0 && Math.abs(x - (kernel[size - 1 - index] ?? 0)) < 1e-6) &&
    data.every((x, index) => x === kernel[index % size])
  );
}
