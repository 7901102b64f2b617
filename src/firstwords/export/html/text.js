// Text as Python sees it.

// str.strip: JavaScript's trim differs in a few characters.
export function strip(text) {
  return text.replace(/^[\p{White_Space}\x1c-\x1f]+|[\p{White_Space}\x1c-\x1f]+$/gu, "");
}

// A decoder that keeps a byte order mark, which is text like any other.
export function utf8Decoder() {
  return new TextDecoder("utf-8", { ignoreBOM: true });
}
