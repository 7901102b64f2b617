// The weights in the page: text of bytes that page_weights.py wrote, as one Float32Array for each
// tensor.

const GROUP_SIZE = 32; // as in page_weights.py

// Returns an object of Float32Arrays by name. `layout` lists the tensors in the order of the bytes:
// {name, rows, columns, dtype}. A tensor of int9 or int10 starts with a float16 scale for each group
// of a row.
export async function readWeights(text, layout) {
  const bytes = await decompress(decodeText(text.trim()));
  const tensors = {};
  let start = 0;
  for (const { name, rows, columns, dtype } of layout) {
    const read = { int9: readInt(9), int10: readInt(10), f16: readFloat16, f32: readFloat32 }[dtype];
    const [values, size] = read(bytes, start, rows, columns);
    tensors[name] = values;
    start += size;
  }
  return tensors;
}

// A length of four bytes, then as many bytes of a zlib stream.
async function decompress(bytes) {
  const end = 4 + new DataView(bytes.buffer).getUint32(0, true);
  const stream = new Blob([bytes.subarray(4, end)]).stream();
  const unpacked = stream.pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(unpacked).arrayBuffer());
}

// Two characters are 13 bits, as two digits of base 91.
export function decodeText(text) {
  const bytes = new Uint8Array(Math.ceil((text.length * 13) / 16));
  let [bits, count, at] = [0, 0, 0];
  for (let i = 0; i < text.length; i += 2) {
    bits = (bits << 13) | (digitAt(text, i) * 91 + digitAt(text, i + 1));
    for (count += 13; count >= 8; count -= 8) bytes[at++] = bits >> (count - 8);
    bits &= 255;
  }
  return bytes;
}

// The digits are printable ASCII from "!" on, without "/" and "<".
function digitAt(text, i) {
  const code = text.charCodeAt(i);
  return code - 33 - (code > 47) - (code > 60);
}

// A copy of the bytes, since a view of 4-byte numbers cannot start just anywhere.
const copyOf = (bytes, start, size) => bytes.slice(start, start + size).buffer;

function readFloat32(bytes, start, rows, columns) {
  const size = 4 * rows * columns;
  return [new Float32Array(copyOf(bytes, start, size)), size];
}

// After the scales come the highest eight bits of all numbers, then their other bits.
const readInt = (bits) => (bytes, start, rows, columns) => {
  const groups = Math.ceil(columns / GROUP_SIZE);
  const [scales, scaleBytes] = readFloat16(bytes, start, rows, groups);
  const size = rows * columns;
  const high = new Int8Array(copyOf(bytes, start + scaleBytes, size));
  const low = bytes.subarray(start + scaleBytes + size);
  const values = new Float32Array(size);
  for (let i = 0; i < size; i++) {
    const column = i % columns;
    const scale = scales[((i - column) / columns) * groups + Math.floor(column / GROUP_SIZE)];
    let number = high[i];
    for (let at = i * (bits - 8); at < (i + 1) * (bits - 8); at++)
      number = 2 * number + ((low[at >> 3] >> (7 - (at & 7))) & 1);
    values[i] = number * scale;
  }
  return [values, scaleBytes + size + Math.ceil((size * (bits - 8)) / 8)];
};

function readFloat16(bytes, start, rows, columns) {
  const size = 2 * rows * columns;
  return [Float32Array.from(new Uint16Array(copyOf(bytes, start, size)), float16), size];
}

// The number whose IEEE 754 half-precision bits these are.
function float16(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}
