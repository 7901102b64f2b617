// The operations between the matrix products, forward and backward: RMSNorm, rotary positions,
// SwiGLU. Each works on one token, or on one tile of a product. Sizes are multiples of 32.

#pragma once

#include "gemm.h"

// RMSNorm without its weight (arXiv 1910.07467): x / rms(x), for one token. The weight is part of
// the matrix that follows, see `Linear` in linear.h.
//   x, normalized  (padded) numbers, of which the first `size` are not padding; `normalized` is
//                  written
// Returns 1 / rms(x), which the backward pass needs.
template <class Number>
static inline float normalize(Row<float> x, Row<Number> normalized, int64_t size, int64_t padded,
                              float eps) {
    Lanes squares = {};
    for (int64_t i = 0; i < padded; i += LANES) squares += load(x + i) * load(x + i);
    float scale = 1 / sqrtf(sum_lanes<LANES>(squares) / size + eps);
    for (int64_t i = 0; i < padded; i += LANES) store(load(x + i) * scale, normalized + i);
    return scale;
}

// The gradient of x, given those of x / rms(x): (d - n mean(d n)) / rms(x), where n is x / rms(x).
// `use` is called with the number of the first of LANES channels and their gradients.
template <class Number, class Use>
static inline void normalize_backward(Row<float> d_normalized, Row<Number> normalized, float scale,
                                      int64_t size, int64_t padded, Use use) {
    Lanes sums = {};
    for (int64_t i = 0; i < padded; i += LANES) sums += load(d_normalized + i) * load(normalized + i);
    float mean = sum_lanes<LANES>(sums) / size;
    for (int64_t i = 0; i < padded; i += LANES)
        use(i, scale * (load(d_normalized + i) - load(normalized + i) * mean));
}

// A head's query or key for attention: normalized, times the weight of the norm, rotated (RoPE,
// arXiv 2104.09864), times `factor`. The rotated pairs are channels i and i + D/2.
//   normalized, rotated  (D) numbers; `rotated` is written
//   cos, sin             (D/2), the tables' rows of the token's position
template <class Number>
static inline void rotate(Row<Number> normalized, const float *weight_D, const float *cos,
                          const float *sin, int64_t D, float factor, Row<Number> rotated) {
    int64_t half = D / 2;
    for (int64_t i = 0; i < half; i += LANES) {
        Lanes first = load(normalized + i) * load(weight_D + i) * factor;
        Lanes second = load(normalized + (half + i)) * load(weight_D + half + i) * factor;
        store(first * load(cos + i) - second * load(sin + i), rotated + i);
        store(second * load(cos + i) + first * load(sin + i), rotated + (half + i));
    }
}

// The backward pass of `rotate` and of the norm before it.
//   d_rotated   (D), the gradient of `rotated`; overwritten
//   d_weight_D  the gradient of the norm's weight, added to
//   d_raw_D     the gradient of the query or key before its norm, written
template <class Number>
static inline void rotate_backward(Row<float> d_rotated, Row<Number> normalized, float scale,
                                   const float *weight_D, const float *cos, const float *sin,
                                   int64_t size, int64_t D, float factor, float *d_weight_D,
                                   Row<float> d_raw_D) {
    int64_t half = D / 2;
    for (int64_t i = 0; i < half; i += LANES) {
        Lanes first = load(d_rotated + i) * factor, second = load(d_rotated + (half + i)) * factor;
        Lanes d_first = first * load(cos + i) + second * load(sin + i);
        Lanes d_second = second * load(cos + i) - first * load(sin + i);
        store(load(d_weight_D + i) + d_first * load(normalized + i), d_weight_D + i);
        store(load(d_weight_D + half + i) + d_second * load(normalized + (half + i)),
              d_weight_D + half + i);
        store(d_first * load(weight_D + i), d_rotated + i);
        store(d_second * load(weight_D + half + i), d_rotated + (half + i));
    }
    normalize_backward(d_rotated, normalized, scale, size, D,
                       [&](int64_t i, Lanes d) { store(d, d_raw_D + i); });
}

// SwiGLU (arXiv 2002.05202) of a tile whose rows hold 16 gate units, then their 16 up units:
// h = silu(gate) up, where silu(x) = x / (1 + e^-x).
//   gate_up  a tile, which keeps it for the backward pass; written
//   h        16 columns of a tile; written
constexpr int HALF = TILE / 2;

template <class Number>
static inline void swiglu(const float *tile, Number *gate_up, Number *h) {
    convert(tile, gate_up, TILE_SIZE);
    for (int m = 0; m < TILE_SIZE; m += TILE)
        for (int i = m; i < m + HALF; i += LANES) {
            Lanes gate = load(tile + i), up = load(tile + HALF + i);
            store(gate * sigmoid(gate) * up, h + i);
        }
}

// The gradients of 16 gate and 16 up units, in the layout of `swiglu`.
//   dh         16 columns of a tile: the gradients of their hidden units
//   d_gate_up  a tile, written
template <class Number>
static inline void swiglu_backward(const float *dh, const Number *gate_up, float *d_gate_up) {
    for (int m = 0; m < TILE_SIZE; m += TILE)
        for (int i = m; i < m + HALF; i += LANES) {
            Lanes gate = load(gate_up + i), up = load(gate_up + HALF + i);
            Lanes s = sigmoid(gate), silu = gate * s;
            store(load(dh + i) * up * (s + silu * (1 - s)), d_gate_up + i);
            store(load(dh + i) * silu, d_gate_up + HALF + i);
        }
}
