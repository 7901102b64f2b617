// Causal grouped-query attention of one row, forward and backward, in blocks of 32 queries:
// softmax(q k^T / sqrt(D)) v (arXiv 1706.03762). Scores are computed again in the backward pass
// (as in FlashAttention, arXiv 2205.14135), and those of later tokens not at all.
//
// Sizes: T tokens of the row and D channels of a head, both padded to multiples of 32.

#pragma once

#include "linear.h"
#include "ops.h"

template <class Number>
struct AttentionScratch {
    Buffer<Number> k_columns;            // panels of k^T (D, T)
    Buffer<Number> k_rows, v_rows;       // panels of (T, D)
    Buffer<Number> v_columns;            // panels of v^T (D, T)
    Buffer<Number> q_rows, dy_rows;      // panels of (T, D)
    Buffer<float> scores, d_weights;     // (32, T): of a block of queries
    Buffer<Number> weights;              // (32, T): of a block of queries
    Buffer<Number> weights_TT, d_scores_TT;  // (T, T), transposed: [key][query]

    AttentionScratch(int64_t T, int64_t D)
        : k_columns(T * D), k_rows(T * D), v_rows(T * D), v_columns(T * D), q_rows(T * D),
          dy_rows(T * D), scores(TILE * T), d_weights(TILE * T), weights(TILE * T),
          weights_TT(T * T), d_scores_TT(T * T) {}
};

// The scores (32, end) of queries `first` and on, up to the block's own keys.
template <class Number>
static inline void attention_scores(bool amx, const AttentionScratch<Number> &s, const Number *q,
                                    int64_t first, int64_t T, int64_t D) {
    multiply(amx, q + first * D, D, (const Number *)s.k_columns, D, TILE, first + TILE, D,
             write_into(s.scores, T));
}

// The output y of one query head.
//   q        (T, D), normalized, rotated and divided by sqrt(D)
//   s        with k_columns and v_rows of the key-value head
//   y        (T, D), `y_stride` numbers from token to token, written
//   log_sum  (T), `log_sum_stride` apart: the logarithm of the softmax's denominator, written
template <class Number>
static void attend(bool amx, const AttentionScratch<Number> &s, const Number *q, int64_t T,
                   int64_t D, Number *y, int64_t y_stride, float *log_sum, int64_t log_sum_stride) {
    float inverse[TILE];
    for (int64_t first = 0; first < T; first += TILE) {
        attention_scores(amx, s, q, first, T, D);
        int64_t end = first + TILE;
        for (int m = 0; m < TILE; m++) {
            float *row = s.scores + m * T;
            for (int64_t k = first + m + 1; k < end; k++) row[k] = -INFINITY;
            Lanes largest_lanes = load(row), sums = {};
            for (int64_t k = LANES; k < end; k += LANES)
                largest_lanes = larger(largest_lanes, load(row + k));
            float largest = largest_lane(largest_lanes);
            for (int64_t k = 0; k < end; k += LANES) {
                Lanes weight = exponential(load(row + k) - largest);
                sums += weight;
                store(weight, s.weights + m * T + k);
            }
            float sum = sum_lanes<LANES>(sums);
            inverse[m] = 1 / sum;
            log_sum[(first + m) * log_sum_stride] = largest + logf(sum);
        }
        multiply(amx, (const Number *)s.weights, T, (const Number *)s.v_rows, T, TILE, D, end,
                 [&](int64_t, int64_t n, const float *tile) {
                     for (int m = 0; m < TILE; m++)
                         for (int i = 0; i < TILE; i += LANES)
                             store(load(tile + m * TILE + i) * inverse[m],
                                   y + (first + m) * y_stride + n + i);
                 });
    }
}

// The gradients of one query head.
//   q, y, log_sum  as in `attend`
//   dy             (T, D), `y_stride` numbers from token to token
//   s              with k_columns, k_rows and v_columns of the key-value head, and q_rows and
//                  dy_rows of the query head
//   dq             (T, D), written
//   dk, dv         (T, D), added to
template <class Number>
static void attend_backward(bool amx, const AttentionScratch<Number> &s, const Number *q,
                            const Number *y, const Number *dy, int64_t y_stride,
                            const float *log_sum, int64_t log_sum_stride, int64_t T, int64_t D,
                            float *dq, float *dk, float *dv) {
    for (int64_t first = 0; first < T; first += TILE) {
        int64_t end = first + TILE;
        attention_scores(amx, s, q, first, T, D);
        multiply(amx, dy + first * y_stride, y_stride, (const Number *)s.v_columns, D, TILE, end, D,
                 write_into(s.d_weights, T));
        for (int m = 0; m < TILE; m++) {
            float *row = s.scores + m * T, *d_row = s.d_weights + m * T;
            float log_sum_m = log_sum[(first + m) * log_sum_stride];
            const Number *y_D = y + (first + m) * y_stride, *dy_D = dy + (first + m) * y_stride;
            Lanes products = {};
            for (int64_t d = 0; d < D; d += LANES) products += load(y_D + d) * load(dy_D + d);
            float mean = sum_lanes<LANES>(products);
            for (int64_t k = first + m + 1; k < end; k++) row[k] = -INFINITY;
            for (int64_t k = 0; k < end; k += LANES) {
                Lanes weight = exponential(load(row + k) - log_sum_m);
                Lanes d_score = weight * (load(d_row + k) - mean);
                store(weight, row + k);
                store(d_score, d_row + k);
                store(d_score, s.weights + m * T + k);
            }
        }
        alignas(64) float tile[TILE * TILE], d_tile[TILE * TILE];
        for (int64_t n = 0; n < end; n += TILE) {
            for (int m = 0; m < TILE; m++) {
                memcpy(tile + m * TILE, s.scores + m * T + n, TILE * sizeof(float));
                memcpy(d_tile + m * TILE, s.d_weights + m * T + n, TILE * sizeof(float));
            }
            tile_to_columns(tile, s.weights_TT + n * T + first, T);
            tile_to_columns(d_tile, s.d_scores_TT + n * T + first, T);
        }
        multiply(amx, (const Number *)s.weights, T, (const Number *)s.k_rows, T, TILE, D, end,
                 write_into(dq + first * D, D));
    }
    for (int64_t key = 0; key < T; key += TILE) {  // of queries from the key on
        multiply(amx, s.weights_TT + key * T + key, T, s.dy_rows + key * TILE, T, TILE, D, T - key,
                 add_to(dv + key * D, D));
        multiply(amx, s.d_scores_TT + key * T + key, T, s.q_rows + key * TILE, T, TILE, D, T - key,
                 add_to(dk + key * D, D));
    }
}
