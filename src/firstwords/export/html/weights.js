// The weights in the page: base64 of bytes that html_file.py wrote, as one Float32Array for each
// tensor.

const GROUP_SIZE = 32; // as in html_file.py

// Returns an object of Float32Arrays by name. `layout` lists the tensors in the order of the bytes:
// {name, rows, columns, dtype}. An int8 tensor starts with a float16 scale for each group of a row.
export function readWeights(base64, layout) {
  const bytes = decodeBase64(base64);
  const tensors = {};
  let start = 0;
  for (const { name, rows, columns, dtype } of layout) {
    const read = { int8: readInt8, f16: readFloat16, f32: readFloat32 }[dtype];
    const [values, size] = read(bytes, start, rows, columns);
    tensors[name] = values;
    start += size;
  }
  return tensors;
}

export function decodeBase64(text) {
  const characters = atob(text.trim());
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

// A copy of the bytes, since a view of 4-byte numbers cannot start just anywhere.
const copyOf = (bytes, start, size) => bytes.slice(start, start + size).buffer;

function readFloat32(bytes, start, rows, columns) {
  const size = 4 * rows * columns;
  return [new Float32Array(copyOf(bytes, start, size)), size];
}

function readInt8(bytes, start, rows, columns) {
  const groups = Math.ceil(columns / GROUP_SIZE);
  const [scales, scaleBytes] = readFloat16(bytes, start, rows, groups);
  const numbers = new Int8Array(copyOf(bytes, start + scaleBytes, rows * columns));
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++)
    for (let c = 0; c < columns; c++) {
      const scale = scales[row * groups + Math.floor(c / GROUP_SIZE)];
      values[row * columns + c] = numbers[row * columns + c] * scale;
    }
  return [values, scaleBytes + rows * columns];
}

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
