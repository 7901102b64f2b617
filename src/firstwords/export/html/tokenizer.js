// Byte-level BPE: the same token ids as tokenizer/bpe.py. Bytes are written as strings of
// characters up to U+00FF, one for each byte.

import { utf8Decoder } from "./text.js";

// SPLIT_PATTERN of bpe.py. JavaScript's \s includes U+FEFF and lacks U+0085, so White_Space is
// named; and of all characters, "ſ" alone is the "s" of a contraction in another case.
const SPLIT = new RegExp(
  "'(?:[sS\u017f]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])" +
    "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" +
    "| ?[^\\p{White_Space}\\p{L}\\p{N}]+[\\r\\n]*|\\p{White_Space}*[\\r\\n]+" +
    "|\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+",
  "gu",
);

export class Tokenizer {
  // `tokens` are the bytes of the tokens, by id; `special` the ids of special tokens, by name.
  constructor(tokens, special) {
    this.tokens = tokens;
    this.special = special;
    const specialIds = new Set(Object.values(special));
    const ordinary = [...tokens.keys()].filter((id) => !specialIds.has(id));
    this.ranks = new Map(ordinary.map((id) => [tokens[id], id]));
  }

  encode(text) {
    return (text.match(SPLIT) ?? []).flatMap((piece) => this.encodePiece(bytesOf(piece)));
  }

  // Merges the pair with the lowest id, the first of equal ones, until no pair is a token.
  encodePiece(bytes) {
    const whole = this.ranks.get(bytes);
    if (whole !== undefined) return [whole];
    const parts = [...bytes];
    const rankAt = (i) => this.ranks.get(parts[i] + parts[i + 1]) ?? Infinity;
    const ranks = parts.slice(1).map((_, i) => rankAt(i)); // of each part with the next
    for (;;) {
      let first = 0;
      for (let i = 1; i < ranks.length; i++) if (ranks[i] < ranks[first]) first = i;
      if (!(ranks[first] < Infinity)) return parts.map((part) => this.ranks.get(part));
      parts.splice(first, 2, parts[first] + parts[first + 1]);
      ranks.splice(first, 1);
      if (first > 0) ranks[first - 1] = rankAt(first - 1);
      if (first < ranks.length) ranks[first] = rankAt(first);
    }
  }

  // The bytes of a token; a model may predict ids beyond the vocabulary, which have none.
  bytes(token) {
    return Uint8Array.from(this.tokens[token] ?? "", (character) => character.charCodeAt(0));
  }

  decode(ids) {
    const decoder = utf8Decoder();
    return ids.map((id) => decoder.decode(this.bytes(id), { stream: true })).join("") + decoder.decode();
  }
}

function bytesOf(text) {
  return Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");
}
