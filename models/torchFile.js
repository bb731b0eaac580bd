// Reads the tensors of a file that torch.save wrote before PyTorch 1.6: pickles one behind the other, then the elements of each
// storage. A pickle is a program; this one reader runs the few instructions that a dictionary of tensors takes, and refuses the rest.
import { floatTensor, intTensor } from '../dist/onnx/tensor.js';

/** @typedef {import('../dist/onnx/tensor.js').Tensor} Tensor */
/** @typedef {{ kind: 'global', name: string }} Global */
/** @typedef {{ kind: 'storage', type: string, key: string, count: number }} Storage */
/** @typedef {{ kind: 'tensor', storage: Storage, offset: number, dims: number[], strides: number[] }} Placed */

/** What a storage's elements are, and how many bytes each takes. */
const STORAGES = new Map([
  ['torch FloatStorage', 4],
  ['torch LongStorage', 8],
]);
const ORDERED = 'collections OrderedDict';
const REBUILD = 'torch._utils _rebuild_tensor_v2';
const GLOBALS = new Set([ORDERED, REBUILD, ...STORAGES.keys()]);

/** `torch.serialization.MAGIC_NUMBER`, the least byte first, and the version of the protocol. */
const MAGIC = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const PROTOCOL = 1001;
/** What marks where the items of a tuple, a list or a dictionary begin. */
const MARK = Symbol('mark');

/**
 * The tensors of `bytes` by their names, in the order of the file; float32, or int64.
 * @param {Buffer} bytes
 * @returns {Map<string, Tensor>}
 */
export function readTorchFile(bytes) {
  const reader = new PickleReader(bytes);
  const magic = reader.load();
  if (!Buffer.isBuffer(magic) || !magic.equals(Buffer.from(MAGIC))) throw refused('it does not begin as one', 0);
  if (reader.load() !== PROTOCOL) throw refused('it is of another protocol', reader.at);
  const system = reader.load();
  if (!(system instanceof Map) || system.get('little_endian') !== true)
    throw refused('its numbers are not little-endian', reader.at);
  const named = reader.load();
  const keys = reader.load();
  if (!(named instanceof Map) || !Array.isArray(keys)) throw refused('it holds no dictionary of tensors', reader.at);
  const placed = new Map([...named].map(([name, value]) => [stringOf(name), placedOf(value)]));
  const storages = new Map([...placed.values()].map(({ storage }) => [storage.key, storage]));
  /** @type {Map<string, Buffer>} */
  const contents = new Map();
  for (const key of keys) {
    const storage = storages.get(stringOf(key));
    if (!storage) throw refused(`no tensor is of its storage ${stringOf(key)}`, reader.at);
    contents.set(storage.key, reader.storage(storage));
  }
  if (reader.at !== bytes.length) throw refused('something follows its last storage', reader.at);
  return new Map([...placed].map(([name, each]) => [name, tensorOf(each, contents)]));
}

/**
 * @param {Placed} placed
 * @param {Map<string, Buffer>} contents
 */
function tensorOf({ storage, offset, dims, strides }, contents) {
  const bytes = contents.get(storage.key);
  const last = dims.reduce((sum, dim, axis) => sum + (dim - 1) * (strides[axis] ?? 0), offset);
  if (!bytes || dims.includes(0) || last >= storage.count) throw refused(`storage ${storage.key} is not whole`, 0);
  const places = dims.reduce(
    (found, dim, axis) =>
      found.flatMap((place) => Array.from({ length: dim }, (_, index) => place + index * (strides[axis] ?? 0))),
    [offset],
  );
  if (storage.type === 'torch FloatStorage')
    return floatTensor(
      dims,
      places.map((place) => bytes.readFloatLE(place * 4)),
    );
  return intTensor(
    dims,
    places.map((place) => Number(bytes.readBigInt64LE(place * 8))),
  );
}

/** Runs the pickles of a file, one after the other. */
class PickleReader {
  /** @param {Buffer} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    /** Where the next byte is read. */
    this.at = 0;
    /** @type {unknown[]} */
    this.stack = [];
    /** @type {Map<number, unknown>} */
    this.memo = new Map();
  }

  /** What the next pickle makes. */
  load() {
    this.stack = [];
    this.memo = new Map();
    for (;;) {
      const at = this.at;
      const opcode = this.byte();
      if (opcode === 0x2e) return this.pop(); // STOP
      if (!this.scalar(opcode) && !this.container(opcode) && !this.call(opcode))
        throw refused(`its pickle has the instruction 0x${opcode.toString(16).padStart(2, '0')}`, at);
    }
  }

  /**
   * The elements of a storage, which follow their number.
   * @param {Storage} storage
   */
  storage({ type, key, count }) {
    if (this.take(8).readBigInt64LE() !== BigInt(count)) throw refused(`storage ${key} has another length`, this.at);
    return this.take(count * (STORAGES.get(type) ?? 0));
  }

  /**
   * Instructions that put something on the stack, or remember it.
   * @param {number} opcode
   */
  scalar(opcode) {
    switch (opcode) {
      case 0x80: // PROTO
        if (this.byte() !== 2) throw refused('its pickle is not of protocol 2', this.at);
        return true;
      case 0x4e: // NONE
        return this.push(null);
      case 0x88: // NEWTRUE
        return this.push(true);
      case 0x89: // NEWFALSE
        return this.push(false);
      case 0x4a: // BININT
        return this.push(this.take(4).readInt32LE());
      case 0x4b: // BININT1
        return this.push(this.byte());
      case 0x4d: // BININT2
        return this.push(this.take(2).readUInt16LE());
      case 0x8a: // LONG1, which only the magic number is
        return this.push(this.take(this.byte()));
      case 0x58: // BINUNICODE
        return this.push(this.take(this.take(4).readUInt32LE()).toString('utf8'));
      case 0x71: // BINPUT
        return this.remember(this.byte());
      case 0x72: // LONG_BINPUT
        return this.remember(this.take(4).readUInt32LE());
      case 0x68: // BINGET
        return this.recall(this.byte());
      case 0x6a: // LONG_BINGET
        return this.recall(this.take(4).readUInt32LE());
      default:
        return false;
    }
  }

  /**
   * Instructions that make tuples and lists (arrays here) and dictionaries (maps here).
   * @param {number} opcode
   */
  container(opcode) {
    switch (opcode) {
      case 0x28: // MARK
        return this.push(MARK);
      case 0x29: // EMPTY_TUPLE
      case 0x5d: // EMPTY_LIST
        return this.push([]);
      case 0x7d: // EMPTY_DICT
        return this.push(new Map());
      case 0x85: // TUPLE1
        return this.push([this.pop()]);
      case 0x86: // TUPLE2
        return this.push([this.pop(), this.pop()].reverse());
      case 0x74: // TUPLE
        return this.push(this.marked());
      case 0x65: {
        // APPENDS
        const items = this.marked();
        const list = this.stack.at(-1);
        if (!Array.isArray(list)) throw refused('its pickle appends to what is no list', this.at);
        list.push(...items);
        return true;
      }
      case 0x73: // SETITEM
        return this.setItems([this.pop(), this.pop()].reverse());
      case 0x75: // SETITEMS
        return this.setItems(this.marked());
      default:
        return false;
    }
  }

  /**
   * Instructions that name what is not in the pickle, and that would run it.
   * @param {number} opcode
   */
  call(opcode) {
    switch (opcode) {
      case 0x63: {
        // GLOBAL
        const name = `${this.line()} ${this.line()}`;
        if (!GLOBALS.has(name)) throw refused(`its pickle names ${JSON.stringify(name)}`, this.at);
        return this.push({ kind: 'global', name });
      }
      case 0x51: // BINPERSID
        return this.push(storageOf(this.pop()));
      case 0x52: {
        // REDUCE
        const given = this.pop();
        const name = globalOf(this.pop());
        if (name === ORDERED && Array.isArray(given) && given.length === 0) return this.push(new Map());
        if (name === REBUILD) return this.push(rebuilt(given));
        throw refused(`its pickle calls ${name}`, this.at);
      }
      case 0x62: {
        // BUILD: a dictionary's attributes, here the versions of modules, which say nothing of the tensors.
        this.pop();
        if (!(this.stack.at(-1) instanceof Map)) throw refused('its pickle builds what is no dictionary', this.at);
        return true;
      }
      default:
        return false;
    }
  }

  /** @param {unknown[]} items keys and values in turn */
  setItems(items) {
    const dictionary = this.stack.at(-1);
    if (!(dictionary instanceof Map) || items.length % 2 !== 0)
      throw refused('its pickle sets items of what is no dictionary', this.at);
    for (let index = 0; index < items.length; index += 2) dictionary.set(items[index], items[index + 1]);
    return true;
  }

  /** @param {unknown} value */
  push(value) {
    this.stack.push(value);
    return true;
  }

  pop() {
    if (this.stack.length === 0) throw refused('its pickle takes what it has not put down', this.at);
    return this.stack.pop();
  }

  /** What lies on the stack above the last mark. */
  marked() {
    const from = this.stack.lastIndexOf(MARK);
    if (from < 0) throw refused('its pickle has no mark', this.at);
    const items = this.stack.splice(from);
    return items.slice(1);
  }

  /** @param {number} place */
  remember(place) {
    this.memo.set(place, this.stack.at(-1));
    return true;
  }

  /** @param {number} place */
  recall(place) {
    if (!this.memo.has(place)) throw refused('its pickle recalls what it has not remembered', this.at);
    return this.push(this.memo.get(place));
  }

  byte() {
    return this.take(1).readUInt8();
  }

  /** @param {number} count */
  take(count) {
    if (this.at + count > this.bytes.length) throw refused('it is cut off', this.bytes.length);
    const taken = this.bytes.subarray(this.at, this.at + count);
    this.at += count;
    return taken;
  }

  line() {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) throw refused('it is cut off', this.bytes.length);
    const text = this.take(end + 1 - this.at).toString('utf8');
    return text.slice(0, -1);
  }
}

/**
 * The storage that a persistent id names: `('storage', type, key, location, count, None)`.
 * @param {unknown} id
 * @returns {Storage}
 */
function storageOf(id) {
  if (!Array.isArray(id) || id.length !== 6 || id[0] !== 'storage' || id[5] !== null)
    throw refused('its pickle names what is no storage', 0);
  const type = globalOf(id[1]);
  if (!STORAGES.has(type)) throw refused(`a storage is a ${type}`, 0);
  return { kind: 'storage', type, key: stringOf(id[2]), count: wholeOf(id[4]) };
}

/**
 * A tensor of a storage: `(storage, offset, dims, strides, …)`.
 * @param {unknown} given
 * @returns {Placed}
 */
function rebuilt(given) {
  const [storage, offset, sizes, strides] = Array.isArray(given) ? given : [];
  if (!isKind(storage, 'storage') || !Array.isArray(sizes) || !Array.isArray(strides))
    throw refused('a tensor is made of something else', 0);
  const [dims, steps] = [sizes.map(wholeOf), strides.map(wholeOf)];
  if (dims.length !== steps.length) throw refused('a tensor has another number of strides than of sizes', 0);
  return { kind: 'tensor', storage: /** @type {Storage} */ (storage), offset: wholeOf(offset), dims, strides: steps };
}

/** @param {unknown} value @param {string} kind */
function isKind(value, kind) {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === kind;
}

/** @param {unknown} value */
function placedOf(value) {
  if (!isKind(value, 'tensor')) throw refused('its dictionary holds what is no tensor', 0);
  return /** @type {Placed} */ (value);
}

/** @param {unknown} value */
function globalOf(value) {
  if (!isKind(value, 'global')) throw refused('its pickle calls what is no function', 0);
  return /** @type {Global} */ (value).name;
}

/** @param {unknown} value */
function stringOf(value) {
  if (typeof value !== 'string') throw refused('a name is no text', 0);
  return value;
}

/** @param {unknown} value */
function wholeOf(value) {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) throw refused('a size is no whole number', 0);
  return value;
}

/** @param {string} reason @param {number} at */
function refused(reason, at) {
  return new Error(`this is no file of tensors that is read here: ${reason}${at > 0 ? ` (byte ${at})` : ''}`);
}
