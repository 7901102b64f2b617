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
    Matrix<Number> k_columns, v_columns;     // (D, T), paired: of a key-value head
    Matrix<Number> k_rows, v_rows;           // (T, D), paired
    Matrix<Number> q_rows, dy_rows;          // (T, D), paired: of a query head
    Matrix<float> scores, d_weights;         // (32, T): of a block of queries
    Matrix<Number> weights;                  // (32, T): of a block of queries
    Matrix<Number> weights_TT, d_scores_TT;  // (T, T), transposed: [key][query]

    AttentionScratch(int64_t T, int64_t D)
        : k_columns(D, T), v_columns(D, T), k_rows(T, D), v_rows(T, D), q_rows(T, D), dy_rows(T, D),
          scores(TILE, T), d_weights(TILE, T), weights(TILE, T), weights_TT(T, T),
          d_scores_TT(T, T) {}
};

// The scores (32, first + 32) of queries `first` and on with the keys up to the block's own. Those of
// later tokens are minus infinity.
template <class Number>
static inline void attention_scores(bool amx, const AttentionScratch<Number> &s, Panels<Number> q,
                                    int64_t first, int64_t D) {
    multiply<Number>(amx, q.from(first, 0), s.k_columns, TILE, first + TILE, D, s.scores);
    for (int m = 0; m < TILE; m++)
        for (int k = m + 1; k < TILE; k++) *s.scores.at(m, first + k) = -INFINITY;
}

// The output y of one query head.
//   q        (T, D), normalized, rotated and divided by sqrt(D)
//   s        with k_columns and v_rows of the key-value head
//   y        (T, D), written
//   log_sum  (T), `log_sum_stride` apart: the logarithm of the softmax's denominator, written
template <class Number>
static void attend(bool amx, const AttentionScratch<Number> &s, Panels<Number> q, int64_t T,
                   int64_t D, Panels<Number> y, float *log_sum, int64_t log_sum_stride) {
    float inverse[TILE];
    for (int64_t first = 0; first < T; first += TILE) {
        attention_scores(amx, s, q, first, D);
        int64_t end = first + TILE;
        for (int m = 0; m < TILE; m++) {
            Softmax softmax = exponentiate(s.scores.row(m), s.weights.row(m), end);
            inverse[m] = 1 / softmax.sum;
            log_sum[(first + m) * log_sum_stride] = softmax.largest + logf(softmax.sum);
        }
        multiply_and_use<Number>(amx, s.weights, s.v_rows, TILE, D, end,
                                 [&](int64_t, int64_t n, const float *tile) {
                                     Number *to = y.at(first, n);
                                     for (int i = 0; i < TILE_SIZE; i += LANES)
                                         store(load(tile + i) * inverse[i / TILE], to + i);
                                 });
    }
}

// The gradients of one query head.
//   q, y, log_sum  as in `attend`
//   dy             (T, D), the gradient of y
//   s              with k_columns, k_rows and v_columns of the key-value head, and q_rows and
//                  dy_rows of the query head
//   dq             (T, D), written
//   dk, dv         (T, D), added to
template <class Number>
static void attend_backward(bool amx, const AttentionScratch<Number> &s, Panels<Number> q,
                            Panels<Number> y, Panels<Number> dy, const float *log_sum,
                            int64_t log_sum_stride, int64_t T, int64_t D, Panels<float> dq,
                            Panels<float> dk, Panels<float> dv) {
    for (int64_t first = 0; first < T; first += TILE) {
        int64_t end = first + TILE;
        attention_scores(amx, s, q, first, D);
        multiply<Number>(amx, dy.from(first, 0), s.v_columns, TILE, end, D, s.d_weights);
        for (int m = 0; m < TILE; m++) {
            Row<float> row = s.scores.row(m), d_row = s.d_weights.row(m);
            Row<Number> y_D = y.row(first + m), dy_D = dy.row(first + m);
            Row<Number> d_scores = s.weights.row(m);
            float log_sum_m = log_sum[(first + m) * log_sum_stride];
            Lanes products = {};
            for (int64_t d = 0; d < D; d += LANES) products += load(y_D + d) * load(dy_D + d);
            float mean = sum_lanes<LANES>(products);
            for (int64_t k = 0; k < end; k += LANES) {
                Lanes weight = exponential(load(row + k) - log_sum_m);
                Lanes d_score = weight * (load(d_row + k) - mean);
                store(weight, row + k);
                store(d_score, d_row + k);
                store(d_score, d_scores + k);
            }
        }
        for (int64_t n = 0; n < end; n += TILE) {
            transpose_tile(s.scores.at(0, n), s.weights_TT.at(n, first));
            transpose_tile(s.d_weights.at(0, n), s.d_scores_TT.at(n, first));
        }
        multiply<Number>(amx, s.weights, s.k_rows, TILE, D, end, dq.from(first, 0));
    }
    for (int64_t key = 0; key < T; key += TILE) {  // of queries from the key on
        multiply(amx, s.weights_TT.from(key, key), s.dy_rows.from(key, 0), TILE, D, T - key,
                 dv.from(key, 0), true);
        multiply(amx, s.d_scores_TT.from(key, key), s.q_rows.from(key, 0), TILE, D, T - key,
                 dk.from(key, 0), true);
    }
}
