import type { Builder } from '../graph/builder.js';
import { concreteShape, describe, type Node, type Value } from '../graph/graph.js';
import { ancestors, descendants } from '../graph/order.js';
import { floatTensor } from '../onnx/tensor.js';
import { convGeometry } from '../graph/shapes.js';
import { int, text, Value as V } from '../graph/graph.js';
type T = (() => Value) | undefined;
const R: Record<string, (n: Node, dy: Value, g: Builder) => T[]> = {
  Add: (n, dy, g) => n.inputs.map((x) => () => g.unbroadcast(dy, concreteShape(x!))),
  Sub: (n, dy, g) => [() => g.unbroadcast(dy, concreteShape(n.input(0))), () => g.unbroadcast(g.neg(dy), concreteShape(n.input(1)))],
  Mul: (n, dy, g) => [0, 1].map((i) => () => g.unbroadcast(g.mul(dy, n.input(1 - i)), concreteShape(n.input(i)))),
  Neg: (_, dy, g) => [() => g.neg(dy)],
  Sigmoid: (n, dy, g) => [() => g.mul(dy, g.mul(n.output(), g.sub(g.scalar(1), n.output())))],
  QuickGelu: (n, dy, g) => [() => { const s = g.sigmoid(n.input(0)); return g.mul(dy, g.add(s, g.mul(n.output(), g.sub(g.scalar(1), s)))); }],
  Relu: (n, dy, g) => [() => g.mul(dy, g.cast(g.greater(n.output(), g.scalar(0)), 1))],
  LogSoftmax: (n, dy, g) => [() => g.sub(dy, g.mul(g.exp(n.output()), g.reduceSum(dy, [-1])))],
  GlobalAveragePool: (n, dy, g) => [() => { const s = concreteShape(n.input(0)); return g.expand(g.mul(dy, g.scalar(1 / (s[2]! * s[3]!))), s); }],
  ReduceMean: (n, dy, g) => [() => { const s = concreteShape(n.input(0)); const o = concreteShape(n.output()); const c = s.reduce((a, b) => a * b, 1) / o.reduce((a, b) => a * b, 1);
    const ax = Array.from(n.input(1).constant!.data as BigInt64Array, Number).map((a) => a < 0 ? a + s.length : a); return g.expand(g.mul(g.reshape(dy, s.map((d, i) => ax.includes(i) ? 1 : d)), g.scalar(1 / c)), s); }],
  ReduceSum: (n, dy, g) => [() => { const s = concreteShape(n.input(0)); const ax = n.inputs[1] ? Array.from(n.inputs[1].constant!.data as BigInt64Array, Number).map((a) => a < 0 ? a + s.length : a) : s.map((_, i) => i); return g.expand(g.reshape(dy, s.map((d, i) => ax.includes(i) ? 1 : d)), s); }],
  Flatten: (n, dy, g) => [() => g.reshape(dy, concreteShape(n.input(0)))],
  Reshape: (n, dy, g) => [() => g.reshape(dy, concreteShape(n.input(0))), undefined],
  Gemm: (n, dy, g) => { const a = n.input(0), b = n.input(1), tb = n.int('transB', 0) === 1; return [() => g.gemm(dy, b, { transB: !tb }), () => tb ? g.gemm(dy, a, { transA: true }) : g.gemm(a, dy, { transA: true }), () => g.unbroadcast(dy, concreteShape(n.input(2)))]; },
  MaxPool: (n, dy, g) => [() => { const s = concreteShape(n.input(0)); n.outputs[1] ??= Object.assign(new V(g.uniqueName('indices'), 'int64', n.output().shape), { producer: n }); const c = s.reduce((a, b) => a * b, 1);
    return g.reshape(g.op('ScatterElements', [g.constant('zeros', floatTensor([c], new Float32Array(c))), g.reshape(n.output(1), [-1]), g.reshape(dy, [-1])], { axis: int(0), reduction: text('add') }), s); }],
  Conv: (n, dy, g) => { const x = n.input(0), w = n.input(1); const { kernel, strides, dilations, pads, group } = convGeometry(n); const [N, C, H, W] = concreteShape(x) as [number, number, number, number]; const [K] = concreteShape(w) as [number]; const [, , Ho, Wo] = concreteShape(dy) as [number, number, number, number];
    const [kh, kw] = kernel as [number, number]; const one = kh === 1 && kw === 1 && strides.every((s) => s === 1) && group === 1;
    const flip = (v: Value) => g.slice(v, [-1, -1], [-1000, -1000], [2, 3], [-1, -1]);
    return [
      () => { if (one) return g.conv(dy, g.reshape(g.transpose(g.reshape(w, [K, C]), [1, 0]), [C, K, 1, 1]));
        const op = [H, W].map((d, i) => d - (([Ho, Wo][i]! - 1) * strides[i]! + (kernel[i]! - 1) * dilations[i]! + 1 - pads[i]! - pads[i + 2]!));
        if (group > 1) { let z = dy; let h = Ho, ww = Wo; if (strides[0]! > 1) { const s = strides[0]!; z = g.reshape(g.pad(g.reshape(dy, [N, K, Ho, 1, Wo, 1]), [0, 0, 0, 0, 0, 0, 0, 0, 0, s - 1, 0, s - 1]), [N, K, Ho * s, Wo * s]); h = Ho * s; ww = Wo * s; }
          const pb = kernel.map((k, i) => dilations[i]! * (k - 1) - pads[i]!); const pe = kernel.map((k, i) => [H, W][i]! - ([h, ww][i]! + pb[i]! - dilations[i]! * (k - 1)));
          const neg = pe.some((p) => p < 0); if (neg) { z = g.slice(z, [0, 0], [h + Math.min(0, pe[0]!), ww + Math.min(0, pe[1]!)], [2, 3]); }
          return g.conv(z, flip(w), { pads: [...pb, ...pe.map((p) => Math.max(0, p))], dilations, group }); }
        return g.convTranspose(dy, w, { strides, pads, dilations, outputPadding: op }); },
      () => { if (one) return g.reshape(g.gemm(g.reshape(g.transpose(dy, [1, 0, 2, 3]), [K, N * Ho * Wo]), g.reshape(g.transpose(x, [1, 0, 2, 3]), [C, N * H * W]), { transB: true }), [K, C, 1, 1]);
        if (group > 1) { const r = g.conv(g.reshape(x, [1, N * C, H, W]), g.reshape(dy, [N * C, 1, Ho, Wo]), { strides: dilations, dilations: strides, pads, group: N * C }); const sl = g.slice(r, [0, 0], [kh, kw], [2, 3]); return g.reshape(g.reduceSum(g.reshape(sl, [N, C, kh, kw]), [0]), [C, 1, kh, kw]); }
        const px = g.transpose(g.pad(x, [0, 0, pads[0]!, pads[1]!, 0, 0, pads[2]!, pads[3]!]), [1, 0, 2, 3]);
        const taps: Value[] = []; for (let i = 0; i < kh; i++) for (let j = 0; j < kw; j++) taps.push(g.reshape(g.slice(px, [i * dilations[0]!, j * dilations[1]!], [i * dilations[0]! + (Ho - 1) * strides[0]! + 1, j * dilations[1]! + (Wo - 1) * strides[1]! + 1], [2, 3], strides), [C, N * Ho * Wo]));
        const d = g.gemm(g.reshape(g.transpose(dy, [1, 0, 2, 3]), [K, N * Ho * Wo]), g.concat(taps, 0), { transB: true });
        return g.reshape(g.transpose(g.reshape(d, [K, kh * kw, C]), [0, 2, 1]), [K, C, kh, kw]); },
      () => g.reduceSum(dy, [0, 2, 3], false),
    ]; },
};
export function differentiate(g: Builder, nodes: readonly Node[], loss: Value, trainable: readonly Value[]): Map<Value, Value> {
  const dep = descendants(nodes, trainable).values; const grads = new Map<Value, Value>([[loss, g.scalar(1)]]);
  for (const n of ancestors(nodes, [loss]).reverse()) { if (!n.outputs.some((o) => o && dep.has(o))) continue; const dy = grads.get(n.output()); if (!dy) continue;
    const rule = R[n.op]; if (!rule) throw new Error('no rule ' + describe(n)); const t = rule(n, dy, g);
    n.inputs.forEach((x, i) => { if (!x || !dep.has(x)) return; const v = t[i]?.(); if (!v) return; if (concreteShape(v).join() !== concreteShape(x).join()) throw new Error(describe(n) + ' grad ' + i + ': ' + concreteShape(v).join() + ' vs ' + concreteShape(x).join()); const p = grads.get(x); grads.set(x, p ? g.add(p, v) : v); }); }
  return new Map(trainable.map((t) => [t, grads.get(t)!]));
}
