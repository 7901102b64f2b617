// The calculator: the same results as tokenizer/calculator.py, which evaluates Python's arithmetic.
//
// Python's whole numbers are BigInts here and its floats are Numbers, so that both are as exact as
// there. True and False are booleans, which count as 1 and 0.

import { strip } from "./text.js";

const MAX_CHARACTERS = 200;
const MAX_DIGITS = 100;
const LARGEST = 10n ** BigInt(MAX_DIGITS);
export const ERROR = "error";

// Returns the value of an expression as a calculator prints it, or "error".
export function calculate(expression) {
  if ([...expression].length > MAX_CHARACTERS) return ERROR;
  try {
    return formatNumber(new Parser(expression).parse());
  } catch (error) {
    if (error instanceof InvalidExpression || error instanceof RangeError) return ERROR;
    throw error;
  }
}

class InvalidExpression extends Error {}

function demand(condition) {
  if (!condition) throw new InvalidExpression();
}

// --- the grammar ------------------------------------------------------------------------------

const SPACE = "[ \\t\\f]|\\\\\\r?\\n|#[^\\r\\n]*";
const DIGITS = "[0-9](?:_?[0-9])*";
const TOKEN = new RegExp(
  [
    `(?<space>${SPACE})`,
    `(?<float>(?:(?:${DIGITS})?\\.${DIGITS}|${DIGITS}\\.?)(?:[eE][+-]?${DIGITS})` +
      `|(?:${DIGITS})?\\.${DIGITS}|${DIGITS}\\.)`,
    "(?<base>0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+)",
    "(?<int>[1-9](?:_?[0-9])*|0(?:_?0)*(?![0-9_]))",
    "(?<text>[uU]?(?:'(?:[^'\\\\\\r\\n]|\\\\[^])*'|\"(?:[^\"\\\\\\r\\n]|\\\\[^])*\"))",
    "(?<raw>[rR](?:'(?:[^'\\\\\\r\\n]|\\\\[^])*'|\"(?:[^\"\\\\\\r\\n]|\\\\[^])*\"))",
    "(?<name>[\\p{ID_Start}_][\\p{ID_Continue}]*)",
    "(?<operator>\\*\\*|[-+*/(),])",
    "(?<line>\\r?\\n|\\r)",
  ].join("|"),
  "uy",
);

// The tokens of an expression: {kind, text}. Line breaks are allowed within parentheses only.
function tokenize(expression) {
  const tokens = [];
  let depth = 0;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < expression.length) {
    const match = TOKEN.exec(expression);
    demand(match);
    const [kind, text] = Object.entries(match.groups).find(([, value]) => value !== undefined);
    if (text === "(") depth++;
    if (text === ")") depth--;
    demand(kind !== "line" || depth > 0);
    if (kind !== "space" && kind !== "line") tokens.push({ kind, text });
  }
  return tokens;
}

const COUNT = Symbol("count"); // the function; it is no value

// A recursive descent parser that computes as it reads.
class Parser {
  constructor(expression) {
    this.tokens = tokenize(strip(expression));
    this.place = 0;
  }

  parse() {
    const value = this.sum();
    demand(this.place === this.tokens.length);
    return value;
  }

  // Returns the next token's text if it is one of these operators, and moves past it.
  take(...operators) {
    const token = this.tokens[this.place];
    if (token?.kind !== "operator" || !operators.includes(token.text)) return null;
    this.place++;
    return token.text;
  }

  sum() {
    let value = this.product();
    for (let sign; (sign = this.take("+", "-")); )
      value = bounded(sign === "+" ? plus : minus, value, this.product());
    return value;
  }

  product() {
    let value = this.signed();
    for (let sign; (sign = this.take("*", "/")); )
      value = bounded(sign === "*" ? times : divide, value, this.signed());
    return value;
  }

  signed() {
    const sign = this.take("+", "-");
    if (!sign) return this.power();
    const value = numberOf(this.signed());
    return sign === "-" ? -value : value;
  }

  power() {
    const base = this.call();
    return this.take("**") ? power(numberOf(base), numberOf(this.signed())) : base;
  }

  call() {
    let value = this.atom();
    while (this.take("(")) {
      demand(value === COUNT);
      value = count(...this.callArguments());
    }
    return value;
  }

  callArguments() {
    const values = [];
    while (!this.take(")")) {
      values.push(this.sum());
      if (this.take(")")) break;
      demand(this.take(","));
    }
    demand(values.length === 2);
    return values;
  }

  atom() {
    if (this.take("(")) {
      const value = this.sum();
      demand(this.take(")"));
      return value;
    }
    const token = this.tokens[this.place++];
    demand(token && token.kind !== "operator");
    if (token.kind === "text" || token.kind === "raw") return this.texts(token);
    return READ[token.kind](token.text);
  }

  // The texts that follow each other are one.
  texts(first) {
    let value = textOf(first);
    for (; ["text", "raw"].includes(this.tokens[this.place]?.kind); this.place++)
      value += textOf(this.tokens[this.place]);
    return value;
  }
}

const READ = {
  float: (text) => Number(text.replaceAll("_", "")),
  int: (text) => BigInt(text.replaceAll("_", "")),
  base: (text) => BigInt(text.replaceAll("_", "").toLowerCase()),
  name: (text) => {
    const known = { count: COUNT, True: true, False: false };
    const name = text.normalize("NFKC");
    demand(Object.hasOwn(known, name));
    return known[name];
  },
};

const ESCAPES = { n: "\n", t: "\t", r: "\r", a: "\x07", b: "\b", f: "\f", v: "\v" };

// The text of a literal such as 'it\'s'. An unknown escape stays as it is.
function textOf({ kind, text }) {
  const inner = text.slice(text.search(/['"]/) + 1, -1);
  if (kind === "raw") return inner;
  const escape = /\\(\r?\n|[0-7]{1,3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[^])/gu;
  return inner.replace(escape, (whole, code) => {
    if (/^[0-7]/.test(code)) return String.fromCodePoint(parseInt(code, 8));
    if (/^[xuU]./.test(code)) return String.fromCodePoint(parseInt(code.slice(1), 16));
    demand(!/^[xuUN]$/.test(code)); // an unfinished escape, or a name of Unicode's
    if (/^\r?\n$/.test(code)) return "";
    return ESCAPES[code] ?? (/[\\'"]/.test(code) ? code : whole);
  });
}

// --- the operators ----------------------------------------------------------------------------

function numberOf(value) {
  if (typeof value === "boolean") return BigInt(value);
  demand(typeof value === "bigint" || typeof value === "number");
  return value;
}

// Computes with two numbers of up to 100 digits.
function bounded(compute, left, right) {
  const [a, b] = [numberOf(left), numberOf(right)];
  demand(!(magnitude(a) > LARGEST) && !(magnitude(b) > LARGEST));
  return compute(a, b);
}

const magnitude = (value) => (value < 0 ? -value : value);
const areWhole = (a, b) => typeof a === "bigint" && typeof b === "bigint";
const plus = (a, b) => (areWhole(a, b) ? a + b : Number(a) + Number(b));
const minus = (a, b) => (areWhole(a, b) ? a - b : Number(a) - Number(b));
const times = (a, b) => (areWhole(a, b) ? a * b : Number(a) * Number(b));

function divide(a, b) {
  demand(Number(b) !== 0);
  return areWhole(a, b) ? divideWhole(a, b) : Number(a) / Number(b);
}

// The float nearest to a quotient of whole numbers: BigInt's conversion rounds a quotient with many
// more bits, whose last one says whether there is a remainder.
function divideWhole(a, b) {
  const bits = (value) => magnitude(value).toString(2).length;
  const shift = BigInt(Math.max(0, 70 + bits(b) - bits(a)));
  const quotient = (magnitude(a) << shift) / magnitude(b);
  const rest = (magnitude(a) << shift) % magnitude(b);
  const rounded = Number((quotient << 1n) | (rest ? 1n : 0n)) / 2 ** (Number(shift) + 1);
  return a < 0 === b < 0 ? rounded : -rounded;
}

function power(a, b) {
  if (magnitude(a) > 1)
    demand(!(Number(b) * Math.log10(Number(magnitude(a))) > MAX_DIGITS));
  if (areWhole(a, b) && b >= 0n) return a ** b;
  const [base, exponent] = [Number(a), Number(b)];
  demand(base !== 0 || exponent >= 0);
  demand(base >= 0 || Number.isInteger(exponent) || !Number.isFinite(exponent)); // else complex
  const value = base === 1 ? 1 : base ** exponent;
  demand(Number.isFinite(value) || !Number.isFinite(base) || !Number.isFinite(exponent));
  return value;
}

function count(text, letter) {
  demand(typeof text === "string" && typeof letter === "string" && [...letter].length === 1);
  return BigInt([...text].filter((character) => character === letter).length);
}

// --- the result -------------------------------------------------------------------------------

// A whole number has all its digits, any other one up to ten.
function formatNumber(value) {
  demand(typeof value === "bigint" || (typeof value === "number" && Number.isFinite(value)));
  if (typeof value === "bigint") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(BigInt(value));
  return tenDigits(value);
}

// Python's format "%.10g", which rounds ties to even digits.
function tenDigits(value) {
  const [mantissa, power] = Math.abs(value).toExponential(100).split("e");
  const digits = mantissa.replace(".", "");
  const rest = digits.slice(10);
  let kept = BigInt(digits.slice(0, 10));
  let exponent = Number(power);
  const half = "5".padEnd(rest.length, "0");
  if (rest > half || (rest === half && kept % 2n)) kept += 1n;
  if (kept === 10n ** 10n) [kept, exponent] = [kept / 10n, exponent + 1];
  const sign = value < 0 ? "-" : "";
  return sign + (exponent < -4 || exponent >= 10 ? scientific : positional)(String(kept), exponent);
}

const trimZeros = (text) => text.replace(/\.?0*$/, "");

function scientific(digits, exponent) {
  const size = String(Math.abs(exponent)).padStart(2, "0");
  return `${trimZeros(`${digits[0]}.${digits.slice(1)}`)}e${exponent < 0 ? "-" : "+"}${size}`;
}

function positional(digits, exponent) {
  if (exponent < 0) return trimZeros(`0.${"0".repeat(-exponent - 1)}${digits}`);
  return trimZeros(`${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`);
}
