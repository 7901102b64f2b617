// The transformer, one token at a time, with a cache of keys and values: the same computation as
// model/transformer.py.
//
// Sums are in double precision, JavaScript's only one; weights and cache are float32. A matrix
// (R, C) is a Float32Array of R rows, one after the other. Shapes: C channels, H query heads,
// K key-value heads, D channels of a head, M hidden units, S positions, V vocabulary.

export class Model {
  // `config` has the fields of recipe.py's ModelConfig, `tensors` the parameters by name.
  constructor(config, tensors) {
    this.config = config;
    this.embed_VC = tensors["embed_tokens.weight"];
    this.head_VC = tensors["lm_head.weight"];
    this.norm_C = tensors["norm.weight"];
    this.layers = Array.from({ length: config.n_layer }, (_, i) => layerOf(tensors, config, i));
    this.rope = ropeTables(config);
    const { n_embd: C, n_head: H, n_kv_head: K, head_dim: D, n_hidden: M, max_seq_len: S } = config;
    this.x_C = new Float64Array(C); // the residual stream
    this.h_C = new Float64Array(C);
    this.q_HD = new Float64Array(H * D);
    this.y_HD = new Float64Array(H * D);
    this.gate_M = new Float64Array(M);
    this.up_M = new Float64Array(M);
    this.update_C = new Float64Array(C);
    this.scores_S = new Float64Array(S);
    this.key_KD = new Float64Array(K * D);
    this.value_KD = new Float64Array(K * D);
    this.logits_V = new Float64Array(config.vocab_size);
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
    multiply(this.head_VC, this.h_C, this.logits_V);
    return this.logits_V;
  }

  // Sets y_HD to the attention of one layer at a position, whose state h_C is.
  attend(layer, position) {
    const { n_head: H, n_kv_head: K, head_dim: D, max_seq_len: S, norm_eps } = this.config;
    const { q_HD, key_KD, value_KD, h_C } = this;
    multiply(layer.query_HDC, h_C, q_HD);
    multiply(layer.key_KDC, h_C, key_KD);
    multiply(layer.value_KDC, h_C, value_KD);
    for (let head = 0; head < H; head++)
      rotate(rmsNorm(q_HD, head * D, layer.queryNorm_D, norm_eps, q_HD), head * D, D, this.rope, position);
    for (let head = 0; head < K; head++) {
      rotate(rmsNorm(key_KD, head * D, layer.keyNorm_D, norm_eps, key_KD), head * D, D, this.rope, position);
      const start = (head * S + position) * D; // the cache is (K, S, D)
      layer.keys_KSD.set(key_KD.subarray(head * D, (head + 1) * D), start);
      layer.values_KSD.set(value_KD.subarray(head * D, (head + 1) * D), start);
    }
    for (let head = 0; head < H; head++)
      this.attendHead(layer, head, Math.floor((head * K) / H) * S * D, position + 1);
  }

  // Attention of one query head to the first `count` positions; `start` is where the keys and
  // values of its key-value head begin.
  attendHead(layer, head, start, count) {
    const { head_dim: D } = this.config;
    const { q_HD, y_HD, scores_S } = this;
    const offset = head * D;
    let largest = -Infinity;
    for (let s = 0; s < count; s++) {
      let score = 0;
      const key = start + s * D;
      for (let i = 0; i < D; i++) score += q_HD[offset + i] * layer.keys_KSD[key + i];
      scores_S[s] = score / Math.sqrt(D);
      if (scores_S[s] > largest) largest = scores_S[s];
    }
    let sum = 0;
    for (let s = 0; s < count; s++) sum += scores_S[s] = Math.exp(scores_S[s] - largest);
    y_HD.fill(0, offset, offset + D);
    for (let s = 0; s < count; s++) {
      const share = scores_S[s] / sum;
      const value = start + s * D;
      for (let i = 0; i < D; i++) y_HD[offset + i] += share * layer.values_KSD[value + i];
    }
  }
}

function layerOf(tensors, config, number) {
  const weight = (name) => tensors[`layers.${number}.${name}.weight`];
  const cacheSize = config.n_kv_head * config.max_seq_len * config.head_dim;
  return {
    norm_C: weight("input_layernorm"),
    query_HDC: weight("self_attn.q_proj"),
    key_KDC: weight("self_attn.k_proj"),
    value_KDC: weight("self_attn.v_proj"),
    queryNorm_D: weight("self_attn.q_norm"),
    keyNorm_D: weight("self_attn.k_norm"),
    out_CHD: weight("self_attn.o_proj"),
    mlpNorm_C: weight("post_attention_layernorm"),
    gate_MC: weight("mlp.gate_proj"),
    up_MC: weight("mlp.up_proj"),
    down_CM: weight("mlp.down_proj"),
    keys_KSD: new Float32Array(cacheSize),
    values_KSD: new Float32Array(cacheSize),
  };
}

// Sets y_R = W_RC x_C. Eight rows at a time: each x is read once for them, and their sums do not
// wait for each other, which is three times as fast as one row at a time.
function multiply(W_RC, x_C, y_R) {
  const R = y_R.length;
  const C = x_C.length;
  let row = 0;
  for (; row + 8 <= R; row += 8) {
    const i0 = row * C;
    const [i1, i2, i3] = [i0 + C, i0 + 2 * C, i0 + 3 * C];
    const [i4, i5, i6, i7] = [i0 + 4 * C, i0 + 5 * C, i0 + 6 * C, i0 + 7 * C];
    let [y0, y1, y2, y3, y4, y5, y6, y7] = [0, 0, 0, 0, 0, 0, 0, 0];
    for (let c = 0; c < C; c++) {
      const x = x_C[c];
      y0 += W_RC[i0 + c] * x;
      y1 += W_RC[i1 + c] * x;
      y2 += W_RC[i2 + c] * x;
      y3 += W_RC[i3 + c] * x;
      y4 += W_RC[i4 + c] * x;
      y5 += W_RC[i5 + c] * x;
      y6 += W_RC[i6 + c] * x;
      y7 += W_RC[i7 + c] * x;
    }
    y_R[row] = y0;
    y_R[row + 1] = y1;
    y_R[row + 2] = y2;
    y_R[row + 3] = y3;
    y_R[row + 4] = y4;
    y_R[row + 5] = y5;
    y_R[row + 6] = y6;
    y_R[row + 7] = y7;
  }
  for (; row < R; row++) {
    let y = 0;
    for (let c = 0; c < C; c++) y += W_RC[row * C + c] * x_C[c];
    y_R[row] = y;
  }
}

function add(x, update) {
  for (let i = 0; i < x.length; i++) x[i] += update[i];
}

// Writes the normalized numbers of `x`, from `start` on, to the same place in `out`; returns it.
function rmsNorm(x, start, weight, eps, out) {
  const size = weight.length;
  let squares = 0;
  for (let i = 0; i < size; i++) squares += x[start + i] * x[start + i];
  const scale = 1 / Math.sqrt(squares / size + eps);
  for (let i = 0; i < size; i++) out[start + i] = x[start + i] * scale * weight[i];
  return out;
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
