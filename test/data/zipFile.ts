import { crc32, deflateRawSync } from 'node:zlib';

export interface TestEntry {
  readonly name: string | Buffer;
  readonly content: Buffer;
  /** Default: deflated. */
  readonly stored?: boolean;
  /** Bit 0 says that the entry is encrypted, bit 11 (set by default) that names are UTF-8. */
  readonly flags?: number;
  /** What the archive says of the unpacked size; default the truth. */
  readonly claimedBytes?: number;
  readonly claimedCrc?: number;
  /** Unix's mode, as Unix's programs store it. */
  readonly mode?: number;
  /** Fields of the central directory. */
  readonly extra?: Buffer;
}

/** A zip file by the fields of APPNOTE.TXT, so that tests can also write wrong ones. */
export function zipFile(entries: readonly TestEntry[]): Buffer {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const { name, content, stored = false, flags = 0x800, claimedBytes, claimedCrc, mode, extra } of entries) {
    const nameBytes = Buffer.from(name);
    const data = stored ? content : deflateRawSync(content);
    const common = Buffer.alloc(26);
    [20, flags, stored ? 0 : 8, 0, 0x21].forEach((value, at) => common.writeUInt16LE(value, 2 * at));
    common.writeUInt32LE(claimedCrc ?? crc32(content), 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(claimedBytes ?? content.length, 18);
    common.writeUInt16LE(nameBytes.length, 22);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(offset, 10);
    place.writeUInt32LE(((mode ?? 0) << 16) >>> 0, 6);
    const listed = Buffer.from(common);
    listed.writeUInt16LE(extra?.length ?? 0, 24);
    locals.push(Buffer.from('PK\x03\x04'), common, nameBytes, data);
    const madeBy = Buffer.from(mode === undefined ? 'PK\x01\x02\x14\x00' : 'PK\x01\x02\x14\x03');
    central.push(madeBy, listed, place, nameBytes, extra ?? Buffer.alloc(0));
    offset += 4 + common.length + nameBytes.length + data.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(entries.length, 4);
  end.writeUInt16LE(entries.length, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...locals, directory, Buffer.from('PK\x05\x06'), end]);
}
