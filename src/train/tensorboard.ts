import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import crc32c from 'crc-32/crc32c.js';

/** Scalars of one step, by their tags. */
export interface ScalarEvent {
  /** Seconds since 1970. */
  readonly wallTime: number;
  readonly step: number;
  readonly scalars: ReadonlyMap<string, number>;
}

/**
 * The bytes of a TensorBoard event file: a header, then a record an event (TFRecord framing; tensorboard/compat/proto/event.proto).
 * A file's name must contain `tfevents`.
 */
export function tensorBoardFile(events: readonly ScalarEvent[]): Buffer {
  const [first] = events;
  const header = new BinaryWriter()
    .tag(1, WireType.Bit64)
    .double(first?.wallTime ?? 0)
    .tag(3, WireType.LengthDelimited)
    .string('brain.Event:2')
    .finish();
  return Buffer.concat([header, ...events.map(encodeEvent)].map(record));
}

function encodeEvent({ wallTime, step, scalars }: ScalarEvent): Uint8Array {
  const event = new BinaryWriter()
    .tag(1, WireType.Bit64)
    .double(wallTime)
    .tag(2, WireType.Varint)
    .int64(step)
    .tag(5, WireType.LengthDelimited)
    .fork();
  for (const [tag, value] of scalars)
    event
      .tag(1, WireType.LengthDelimited)
      .fork()
      .tag(1, WireType.LengthDelimited)
      .string(tag)
      .tag(2, WireType.Bit32)
      .float(value)
      .join();
  return event.join().finish();
}

/** Length, its checksum, the data, its checksum; all little-endian. */
function record(data: Uint8Array): Buffer {
  const framed = Buffer.alloc(data.byteLength + 16);
  framed.writeBigUInt64LE(BigInt(data.byteLength), 0);
  framed.writeUInt32LE(maskedChecksum(framed.subarray(0, 8)), 8);
  framed.set(data, 12);
  framed.writeUInt32LE(maskedChecksum(data), 12 + data.byteLength);
  return framed;
}

/** CRC-32C, rotated and shifted so that a checksum of checksums stays one (tensorflow/core/lib/hash/crc32c.h). */
function maskedChecksum(data: Uint8Array): number {
  const crc = crc32c.buf(data) >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
