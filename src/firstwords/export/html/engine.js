// The transformer, one token at a time, with a cache of keys and values: the same computation as
// model/transformer.py.
//
// Sums are in double precision, JavaScript's only one; weights and cache are float32. Shapes:
// C channels, H query heads, K key-value heads, D channels of a head, M hidden units, S positions,
// V vocabulary.

const PANEL = 8; // rows of a matrix that are multiplied together

export class Model {
  // `config` has the fields of recipe.py's ModelConfig, `tensors` the parameters by name.
  constructor(config, tensors) {
    const { n_embd: C, n_head: H, n_kv_head: K, head_dim: D, n_hidden: M, max_seq_len: S } = config;
    this.config = config;
    this.embed_VC = tensors["embed_tokens.weight"];
    this.head_VC = panelsOf(tensors["lm_head.weight"], C);
    this.norm_C = tensors["norm.weight"];
    this.layers = Array.from({ length: config.n_layer }, (_, i) => layerOf(tensors, config, i));
    this.rope = ropeTables(config);
    this.x_C = vector(C); // the residual stream
    this.h_C = vector(C);
    this.update_C = vector(C);
    this.q_HD = vector(H * D);
    this.y_HD = vector(H * D);
    this.key_KD = vector(K * D);
    this.value_KD = vector(K * D);
    this.gate_M = vector(M);
    this.up_M = vector(M);
    this.scores_S = vector(S);
    this.allLogits = vector(config.vocab_size);
    this.logits_V = this.allLogits.subarray(0, config.vocab_size);
  }

  // Adds a token at a position to the cache, which holds all positions before it.
  forward(token, position) {
    const { n_embd: C, n_hidden: M, norm_eps } = this.config;
    const { x_C, h_C, update_C, gate_M, up_M } = this;
    for (let i = 0; i < C; i++) x_C[i] = this.embed_VC[token * C + i];
    for (const layer of this.layers) {
      rmsNorm(x_C, 0, layer.norm_C, norm_eps, h_C);
      this.attend(layer, position);
      multiply(layer.out_CHD, this.y_HD, update_C);
      add(x_C, update_C);
      rmsNorm(x_C, 0, layer.mlpNorm_C, norm_eps, h_C);
      multiply(layer.gate_MC, h_C, gate_M);
      multiply(layer.up_MC, h_C, up_M);
      for (let i = 0; i < M; i++) gate_M[i] *= up_M[i] / (1 + Math.exp(-gate_M[i])); // SwiGLU
      multiply(layer.down_CM, gate_M, update_C);
      add(x_C, update_C);
    }
  }

  // Returns the logits (V,) of the token that follows the newest one. The array is used again.
  logits() {
    rmsNorm(this.x_C, 0, this.norm_C, this.config.norm_eps, this.h_C);
    multiply(this.head_VC, this.h_C, this.allLogits);
    return this.logits_V;
  }

  // Sets y_HD to the attention of one layer at a position, whose state h_C is.
  attend(layer, position) {
    const { n_head: H, n_kv_head: K, head_dim: D, max_seq_len: S, norm_eps } = this.config;
    const { q_HD, key_KD, value_KD, h_C } = this;
    multiply(layer.query_HDC, h_C, q_HD);
    multiply(layer.key_KDC, h_C, key_KD);
    multiply(layer.value_KDC, h_C, value_KD);
    for (let head = 0; head < H; head++) {
      rmsNorm(q_HD, head * D, layer.queryNorm_D, norm_eps, q_HD);
      rotate(q_HD, head * D, D, this.rope, position);
    }
    for (let head = 0; head < K; head++) {
      rmsNorm(key_KD, head * D, layer.keyNorm_D, norm_eps, key_KD);
      rotate(key_KD, head * D, D, this.rope, position);
      // The cache has keys as (K, D, S) and values as (K, S, D).
      for (let d = 0; d < D; d++) layer.keys_KDS[(head * D + d) * S + position] = key_KD[head * D + d];
      const value_D = value_KD.subarray(head * D, (head + 1) * D);
      layer.values_KSD.set(value_D, (head * S + position) * D);
    }
    for (let head = 0; head < H; head++) this.attendHead(layer, head, position + 1);
  }

  // Attention of one query head to the first `count` positions.
  attendHead(layer, head, count) {
    const { n_head: H, n_kv_head: K, head_dim: D, max_seq_len: S } = this.config;
    const { scores_S } = this;
    const start = Math.floor((head * K) / H) * S * D; // of its key-value head in the cache
    const q_D = this.q_HD.subarray(head * D, (head + 1) * D);
    const y_D = this.y_HD.subarray(head * D, (head + 1) * D);
    scores_S.fill(0, 0, count);
    addWeightedRows(layer.keys_KDS, start, S, q_D, D, scores_S, count);
    let largest = -Infinity;
    for (let s = 0; s < count; s++) largest = Math.max(largest, scores_S[s]);
    let sum = 0;
    for (let s = 0; s < count; s++) {
      scores_S[s] = Math.exp((scores_S[s] - largest) / Math.sqrt(D));
      sum += scores_S[s];
    }
    for (let s = 0; s < count; s++) scores_S[s] /= sum;
    y_D.fill(0);
    addWeightedRows(layer.values_KSD, start, D, scores_S, count, y_D, D);
  }
}

function layerOf(tensors, config, number) {
  const weight = (name) => tensors[`layers.${number}.${name}.weight`];
  const matrix = (name, columns) => panelsOf(weight(name), columns);
  const { n_embd: C, n_head: H, n_kv_head: K, head_dim: D, n_hidden: M, max_seq_len: S } = config;
  return {
    norm_C: weight("input_layernorm"),
    query_HDC: matrix("self_attn.q_proj", C),
    key_KDC: matrix("self_attn.k_proj", C),
    value_KDC: matrix("self_attn.v_proj", C),
    queryNorm_D: weight("self_attn.q_norm"),
    keyNorm_D: weight("self_attn.k_norm"),
    out_CHD: matrix("self_attn.o_proj", H * D),
    mlpNorm_C: weight("post_attention_layernorm"),
    gate_MC: matrix("mlp.gate_proj", C),
    up_MC: matrix("mlp.up_proj", C),
    down_CM: matrix("mlp.down_proj", M),
    keys_KDS: new Float32Array(K * D * S),
    values_KSD: new Float32Array(K * S * D),
  };
}

// Zeros, with room for the last panel of a product.
function vector(size) {
  return new Float64Array(Math.ceil(size / PANEL) * PANEL);
}

// A matrix (R, C) in panels of eight rows, each transposed; the last one is padded with zeros.
function panelsOf(values_RC, C) {
  const R = values_RC.length / C;
  const panels = new Float32Array(Math.ceil(R / PANEL) * PANEL * C);
  for (let row = 0; row < R; row++) {
    const start = Math.floor(row / PANEL) * PANEL * C + (row % PANEL);
    for (let c = 0; c < C; c++) panels[start + c * PANEL] = values_RC[row * C + c];
  }
  return { panels, C };
}

// Sets y = W x. Each x is read once for the eight rows of a panel, and their sums do not wait for
// each other: three times as fast as row by row.
function multiply({ panels, C }, x, y) {
  let i = 0;
  for (let row = 0; i < panels.length; row += PANEL) {
    let y0 = 0;
    let y1 = 0;
    let y2 = 0;
    let y3 = 0;
    let y4 = 0;
    let y5 = 0;
    let y6 = 0;
    let y7 = 0;
    for (let c = 0; c < C; c++) {
      const value = x[c];
      y0 += panels[i] * value;
      y1 += panels[i + 1] * value;
      y2 += panels[i + 2] * value;
      y3 += panels[i + 3] * value;
      y4 += panels[i + 4] * value;
      y5 += panels[i + 5] * value;
      y6 += panels[i + 6] * value;
      y7 += panels[i + 7] * value;
      i += PANEL;
    }
    y[row] = y0;
    y[row + 1] = y1;
    y[row + 2] = y2;
    y[row + 3] = y3;
    y[row + 4] = y4;
    y[row + 5] = y5;
    y[row + 6] = y6;
    y[row + 7] = y7;
  }
}

// Adds to the first C numbers of y the sum of R rows, each times its number of x. The first row
// begins at `start` in W, and each next one `stride` later. Four rows at a time, so that y is read
// and written less often.
function addWeightedRows(W, start, stride, x, R, y, C) {
  let row = 0;
  for (; row + 4 <= R; row += 4) {
    const i0 = start + row * stride;
    const i1 = i0 + stride;
    const i2 = i1 + stride;
    const i3 = i2 + stride;
    const x0 = x[row];
    const x1 = x[row + 1];
    const x2 = x[row + 2];
    const x3 = x[row + 3];
    for (let c = 0; c < C; c++)
      y[c] += x0 * W[i0 + c] + x1 * W[i1 + c] + x2 * W[i2 + c] + x3 * W[i3 + c];
  }
  for (; row < R; row++)
    for (let c = 0; c < C; c++) y[c] += x[row] * W[start + row * stride + c];
}

function add(x, update) {
  for (let i = 0; i < x.length; i++) x[i] += update[i];
}

// Writes the normalized numbers of `x`, from `start` on, to the same place in `out`.
function rmsNorm(x, start, weight, eps, out) {
  const size = weight.length;
  let squares = 0;
  for (let i = 0; i < size; i++) squares += x[start + i] * x[start + i];
  const scale = 1 / Math.sqrt(squares / size + eps);
  for (let i = 0; i < size; i++) out[start + i] = x[start + i] * scale * weight[i];
}

// Cosines and sines (S, D/2) of the rotary positions, rounded at each step as in model/layers.py.
function ropeTables({ head_dim, max_seq_len, rope_theta }) {
  const round = Math.fround;
  const half = head_dim / 2;
  const cos = new Float32Array(max_seq_len * half);
  const sin = new Float32Array(max_seq_len * half);
  for (let d = 0; d < half; d++) {
    const frequency = round(1 / round(rope_theta ** round((2 * d) / head_dim)));
    for (let position = 0; position < max_seq_len; position++) {
      const angle = round(position * frequency);
      cos[position * half + d] = Math.cos(angle);
      sin[position * half + d] = Math.sin(angle);
    }
  }
  return { cos, sin };
}

// Rotates the pairs (d, d + D/2) of the head that begins at `start`.
function rotate(x, start, D, { cos, sin }, position) {
  const half = D / 2;
  for (let d = 0; d < half; d++) {
    const c = cos[position * half + d];
    const s = sin[position * half + d];
    const first = x[start + d];
    const second = x[start + half + d];
    x[start + d] = first * c - second * s;
    x[start + half + d] = second * c + first * s;
  }
}
