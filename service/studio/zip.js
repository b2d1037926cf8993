/** Writes a .zip file. Images are compressed already, so they are stored as they are. */

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n;
});

/** @param {Uint8Array} bytes */
function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/**
 * Packs files. Of two files with one name, the second gets a number.
 * @param {{name: string, blob: Blob}[]} files
 * @returns {Promise<Blob>}
 */
export async function zipped(files) {
  const parts = [];
  const directory = [];
  const names = new Set();
  let offset = 0;
  for (const { name, blob } of files) {
    const bytes = new Uint8Array(await blob.arrayBuffer());
    const encoded = new TextEncoder().encode(unused(name, names));
    const about = [0x0800, 0, 0, 0x21, crc32(bytes), bytes.length, bytes.length, encoded.length]; // names in UTF-8; 1980-01-01
    const local = record(0x04034b50, [[20, 2], ...fields(about), [0, 2]]);
    directory.push(
      record(0x02014b50, [[20, 2], [20, 2], ...fields(about), [0, 2], [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]]),
      encoded,
    );
    parts.push(local, encoded, bytes);
    offset += local.length + encoded.length + bytes.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const end = record(0x06054b50, [[0, 2], [0, 2], [files.length, 2], [files.length, 2], [size, 4], [offset, 4], [0, 2]]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

/** Gives each value the size that both headers have for it. @param {number[]} about @returns {[number, number][]} */
const fields = (about) => about.map((value, i) => [value, [2, 2, 2, 2, 4, 4, 4, 2][i]]);

/** @param {number} signature @param {[number, number][]} values with their sizes in bytes, 2 or 4 */
function record(signature, values) {
  const view = new DataView(new ArrayBuffer(4 + values.reduce((sum, [, size]) => sum + size, 0)));
  view.setUint32(0, signature, true);
  let at = 4;
  for (const [value, size] of values) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}

/** @param {string} name @param {Set<string>} names */
function unused(name, names) {
  const [, stem, suffix] = /** @type {RegExpExecArray} */ (/^(.*?)(\.[^.]*)?$/.exec(name));
  let free = name;
  for (let n = 2; names.has(free); n++) free = `${stem}-${n}${suffix ?? ""}`;
  names.add(free);
  return free;
}
