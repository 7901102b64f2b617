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
static inline float normalize(const float *x, Number *normalized, int64_t size, int64_t padded,
                              float eps) {
    float scale = 1 / sqrtf(dot(x, x, padded) / size + eps);
    for (int64_t i = 0; i < padded; i += LANES) store(load(x + i) * scale, normalized + i);
    return scale;
}

// The gradient of x, given those of x / rms(x): (d - n mean(d n)) / rms(x), where n is x / rms(x).
// `use` is called with the number of the first of LANES channels and their gradients.
template <class Number, class Use>
static inline void normalize_backward(const float *d_normalized, const Number *normalized,
                                      float scale, int64_t size, int64_t padded, Use use) {
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
static inline void rotate(const Number *normalized, const float *weight_D, const float *cos,
                          const float *sin, int64_t D, float factor, Number *rotated) {
    int64_t half = D / 2;
    for (int64_t i = 0; i < half; i += LANES) {
        Lanes first = load(normalized + i) * load(weight_D + i) * factor;
        Lanes second = load(normalized + half + i) * load(weight_D + half + i) * factor;
        store(first * load(cos + i) - second * load(sin + i), rotated + i);
        store(second * load(cos + i) + first * load(sin + i), rotated + half + i);
    }
}

// The backward pass of `rotate` and of the norm before it.
//   d_rotated   (D), the gradient of `rotated`; overwritten
//   d_weight_D  the gradient of the norm's weight, added to
//   d_raw_D     the gradient of the query or key before its norm, written
template <class Number>
static inline void rotate_backward(float *d_rotated, const Number *normalized, float scale,
                                   const float *weight_D, const float *cos, const float *sin,
                                   int64_t size, int64_t D, float factor, float *d_weight_D,
                                   float *d_raw_D) {
    int64_t half = D / 2;
    for (int64_t i = 0; i < half; i += LANES) {
        Lanes first = load(d_rotated + i) * factor, second = load(d_rotated + half + i) * factor;
        Lanes d_first = first * load(cos + i) + second * load(sin + i);
        Lanes d_second = second * load(cos + i) - first * load(sin + i);
        store(load(d_weight_D + i) + d_first * load(normalized + i), d_weight_D + i);
        store(load(d_weight_D + half + i) + d_second * load(normalized + half + i),
              d_weight_D + half + i);
        store(d_first * load(weight_D + i), d_rotated + i);
        store(d_second * load(weight_D + half + i), d_rotated + half + i);
    }
    normalize_backward(d_rotated, normalized, scale, size, D,
                       [&](int64_t i, Lanes d) { store(d, d_raw_D + i); });
}

// SwiGLU (arXiv 2002.05202) of a tile whose rows hold 16 gate units, then their 16 up units:
// h = silu(gate) up, where silu(x) = x / (1 + e^-x).
//   gate_up  rows that keep the tile for the backward pass, `gate_up_stride` numbers apart; written
//   h        rows of 16 hidden units, `h_stride` numbers apart; written
constexpr int HALF = TILE / 2;

template <class Number>
static inline void swiglu(const float *tile, Number *gate_up, int64_t gate_up_stride, Number *h,
                          int64_t h_stride) {
    tile_to_rows(tile, gate_up, gate_up_stride);
    for (int m = 0; m < TILE; m++)
        for (int i = 0; i < HALF; i += LANES) {
            Lanes gate = load(tile + m * TILE + i), up = load(tile + m * TILE + HALF + i);
            store(gate * sigmoid(gate) * up, h + m * h_stride + i);
        }
}

// The gradients of gate and up units, in the layout of `swiglu`, from those of 32 hidden units.
//   dh_tile       (32, 32)
//   d_gate_up     two tiles (32, 32), written: those of the first 16 hidden units, and the others
template <class Number>
static inline void swiglu_backward(const float *dh_tile, const Number *gate_up,
                                   int64_t gate_up_stride, float *d_gate_up) {
    for (int m = 0; m < TILE; m++)
        for (int part = 0; part < 2; part++) {
            const Number *row = gate_up + m * gate_up_stride + part * TILE;
            float *d = d_gate_up + (part * TILE + m) * TILE;
            for (int i = 0; i < HALF; i += LANES) {
                Lanes dh = load(dh_tile + m * TILE + part * HALF + i);
                Lanes gate = load(row + i), up = load(row + HALF + i);
                Lanes s = sigmoid(gate), silu = gate * s;
                store(dh * up * (s + silu * (1 - s)), d + i);
                store(dh * silu, d + HALF + i);
            }
        }
}
