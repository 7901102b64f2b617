// From logits to the next token: the same tokens as inference/sampling.py for the same seed.

// Returns the next token of the sequence `ids`, which drew `drawn` tokens. `sampling` has
// the fields temperature, top_k, top_p, min_p, repetition_penalty and seed.
export function sampleToken(logits_V, sampling, ids, drawn) {
  const adjusted_V = penalize(logits_V, sampling.repetition_penalty, ids);
  if (sampling.temperature === 0) return largestIndex(adjusted_V);
  const [tokens, probabilities] = truncate(adjusted_V, sampling);
  const cumulative = [];
  let sum = 0;
  for (const p of probabilities) cumulative.push((sum += p));
  const point = uniform(sampling.seed, drawn) * sum;
  return tokens[cumulative.findIndex((value) => value > point)];
}

function penalize(logits_V, penalty, ids) {
  if (penalty === 1) return logits_V;
  const adjusted_V = logits_V.slice();
  for (const token of new Set(ids)) {
    const value = logits_V[token];
    adjusted_V[token] = value > 0 ? value / penalty : value * penalty;
  }
  return adjusted_V;
}

function largestIndex(values) {
  let largest = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[largest]) largest = i;
  return largest;
}

// The tokens that may be drawn, most likely first, and their probabilities, of which the tail is
// cut, so that they sum to less than 1.
function truncate(logits_V, { temperature, top_k, top_p, min_p }) {
  const tokens = largestIndices(logits_V, top_k || logits_V.length);
  const weights = tokens.map((token) =>
    Math.exp((logits_V[token] - logits_V[tokens[0]]) / Math.max(temperature, 1e-6)),
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const probabilities = weights.map((weight) => weight / total);
  let before = 0; // the sum of the more likely ones: a token is kept while it is below top_p
  const kept = probabilities.findIndex((p) => {
    const cut = before >= top_p || p < min_p * probabilities[0];
    before += p;
    return cut;
  });
  return kept < 0 ? [tokens, probabilities] : [tokens.slice(0, kept), probabilities.slice(0, kept)];
}

// The indices of the largest numbers, largest first; of equal ones the lower index comes first.
function largestIndices(values, count) {
  const ascending = values.slice().sort(); // numbers of a typed array: fast, in C++
  const least = ascending[Math.max(0, values.length - count)];
  const indices = [];
  for (let i = 0; i < values.length; i++) if (values[i] >= least) indices.push(i);
  return indices.sort((a, b) => values[b] - values[a] || a - b).slice(0, count);
}

const MASK = (1n << 64n) - 1n;
const GOLDEN_GAMMA = 0x9e3779b97f4a7c15n;

// The number in [0, 1) of draw number `drawn` of a seed: SplitMix64 (doi 10.1145/2660193.2660195).
function uniform(seed, drawn) {
  const state = splitMix64(BigInt(seed)) + BigInt(drawn) * GOLDEN_GAMMA;
  return Number(splitMix64(state) >> 11n) * 2 ** -53;
}

function splitMix64(state) {
  let z = (state + GOLDEN_GAMMA) & MASK;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK;
  return z ^ (z >> 31n);
}

// The probability of the token that was drawn and of the `count` most likely ones, at temperature 1
// and before any cut: {token, probability} each.
export function candidates(logits_V, drawn, count) {
  const tokens = largestIndices(logits_V, count);
  let sum = 0;
  for (const logit of logits_V) sum += Math.exp(logit - logits_V[tokens[0]]);
  const withProbability = (token) => ({
    token,
    probability: Math.exp(logits_V[token] - logits_V[tokens[0]]) / sum,
  });
  return { ...withProbability(drawn), top: tokens.map(withProbability) };
}
