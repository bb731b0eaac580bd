import { UserError } from '../errors.js';
import type { NodeProto } from '../onnx/onnx_pb.js';
import { floatTensor, protoOfTensor, tensorOfProto } from '../onnx/tensor.js';
import { type Draft, nodeOf } from './draft.js';
import { constantsOf, intOf, numbersOf, shown } from './nodes.js';

/** Replaces ONNX Runtime's MatMulNBits, whose weights have 2, 4 or 8 bits, by a MatMul with the floats that they stand for. */
export function weightsOfBits(draft: Draft): void {
  if (!draft.graph.node.some(isOfBits)) return;
  const graph = draft.edit();
  const constants = constantsOf(graph);
  graph.node = graph.node.flatMap((node) => {
    if (!isOfBits(node)) return [node];
    const [input = '', packed = '', scale = '', zero = '', order = '', bias = ''] = node.input;
    const [outputs, inputs, bits, blockSize] = ['N', 'K', 'bits', 'block_size'].map((name) => intOf(node, name, 4));
    const [bytes, scales] = [constants.get(packed), numbersOf(constants.get(scale))];
    if (!bytes || !scales || order !== '' || !outputs || !inputs || !bits || !blockSize)
      throw new UserError(
        'quantized-model',
        `${shown(node)} of ${draft.path} has weights in an order or of bits that ort-tl does not read; take the float32 model that this one was made from`,
      );
    const layout = { bits, blockSize, blocks: Math.ceil(inputs / blockSize) };
    const numbers = unpacked(tensorOfProto(bytes).data as Uint8Array, outputs, layout);
    const zeroTensor = constants.get(zero);
    const zeros = zeroTensor && zerosOf(tensorOfProto(zeroTensor).data, outputs, layout);
    const weight = new Float32Array(inputs * outputs);
    for (let output = 0; output < outputs; output++)
      for (let place = 0; place < inputs; place++) {
        const block = output * layout.blocks + Math.floor(place / blockSize);
        const number = numbers[block * blockSize + (place % blockSize)] ?? 0;
        weight[place * outputs + output] = (number - (zeros?.[block] ?? 2 ** (bits - 1))) * (scales[block] ?? 1);
      }
    const name = draft.addConstant(`${node.name || (node.output[0] ?? '')}/weight`, (unique) =>
      protoOfTensor(unique, floatTensor([inputs, outputs], weight)),
    );
    const [result = ''] = node.output;
    const product = bias === '' ? result : draft.uniqueName(`${result}/product`);
    const matmul = nodeOf('MatMul', [input, name], product);
    matmul.name = node.name || result;
    return bias === '' ? [matmul] : [matmul, nodeOf('Add', [product, bias], result)];
  });
}

const isOfBits = ({ opType, domain }: NodeProto) => opType === 'MatMulNBits' && domain === 'com.microsoft';

interface Layout {
  readonly bits: number;
  readonly blockSize: number;
  /** Blocks of one output's weights. */
  readonly blocks: number;
}

/** The numbers of bytes, of which each holds several, the lower bits first; a block begins with a byte of its own. */
function unpacked(bytes: Uint8Array, outputs: number, { bits, blockSize, blocks }: Layout): Uint8Array {
  const inByte = 8 / bits;
  return Uint8Array.from({ length: outputs * blocks * blockSize }, (_, index) => {
    const block = Math.floor(index / blockSize);
    const place = index % blockSize;
    const byte = bytes[block * Math.ceil(blockSize / inByte) + Math.floor(place / inByte)] ?? 0;
    return (byte >> (bits * (place % inByte))) & (2 ** bits - 1);
  });
}

/** The zero of each block: floats, or packed as the weights are, where each output's begin with a byte of their own. */
function zerosOf(data: ArrayLike<number | bigint>, outputs: number, { bits, blocks }: Layout): ArrayLike<number> {
  if (!(data instanceof Uint8Array)) return Array.from(data, Number);
  return unpacked(data, outputs, { bits, blockSize: blocks, blocks: 1 });
}
