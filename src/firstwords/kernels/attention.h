// Causal grouped-query attention of one row, forward and backward, in blocks of 32 queries:
// softmax(q k^T / sqrt(D)) v (arXiv 1706.03762). Scores are computed again in the backward pass
// (as in FlashAttention, arXiv 2205.14135), and those of later tokens not at all. A row may hold
// several sequences: a token attends to those of its own, and blocks of earlier ones are skipped.
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

// The first block of keys that queries `first` and on attend to. Starts never fall.
static inline int64_t first_key(const int64_t *starts, int64_t first) {
    return starts[first] / TILE * TILE;
}

// The scores of 32 queries, `first` and on, with the keys from `begin` to the block's own, at their
// places in `s.scores` (32, T). Those of later tokens and of other sequences are minus infinity.
template <class Number>
static inline void attention_scores(bool amx, const AttentionScratch<Number> &s,
                                    const int64_t *starts, Panels<Number> q, int64_t first,
                                    int64_t D) {
    int64_t begin = first_key(starts, first);
    multiply<Number>(amx, q.from(first, 0), s.k_columns.from(0, begin), TILE, first + TILE - begin,
                     D, s.scores.from(0, begin));
    for (int m = 0; m < TILE; m++) {
        for (int64_t k = begin; k < starts[first + m]; k++) *s.scores.at(m, k) = -INFINITY;
        for (int k = m + 1; k < TILE; k++) *s.scores.at(m, first + k) = -INFINITY;
    }
}

// The output y of one query head.
//   q        (T, D), normalized, rotated and divided by sqrt(D)
//   s        with k_columns and v_rows of the key-value head
//   starts   (T), the first token of each token's sequence
//   y        (T, D), written
//   log_sum  (T), `log_sum_stride` apart: the logarithm of the softmax's denominator, written
template <class Number>
static void attend(bool amx, const AttentionScratch<Number> &s, const int64_t *starts,
                   Panels<Number> q, int64_t T, int64_t D, Panels<Number> y, float *log_sum,
                   int64_t log_sum_stride) {
    float inverse[TILE];
    for (int64_t first = 0; first < T; first += TILE) {
        attention_scores(amx, s, starts, q, first, D);
        int64_t begin = first_key(starts, first), size = first + TILE - begin;
        Panels<float> scores = s.scores.from(0, begin);
        Panels<Number> weights = s.weights.from(0, begin);
        for (int m = 0; m < TILE; m++) {
            Softmax softmax = exponentiate(scores.row(m), weights.row(m), size);
            inverse[m] = 1 / softmax.sum;
            log_sum[(first + m) * log_sum_stride] = softmax.largest + logf(softmax.sum);
        }
        multiply_and_use<Number>(amx, weights, s.v_rows.from(begin, 0), TILE, D, size,
                                 [&](int64_t, int64_t n, const float *tile) {
                                     Number *to = y.at(first, n);
                                     for (int i = 0; i < TILE_SIZE; i += LANES)
                                         store(load(tile + i) * inverse[i / TILE], to + i);
                                 });
    }
}

// The gradients of one query head.
//   starts, q, y, log_sum  as in `attend`
//   dy             (T, D), the gradient of y
//   s              with k_columns, k_rows and v_columns of the key-value head, and q_rows and
//                  dy_rows of the query head
//   dq             (T, D), written
//   dk, dv         (T, D), added to
template <class Number>
static void attend_backward(bool amx, const AttentionScratch<Number> &s, const int64_t *starts,
                            Panels<Number> q, Panels<Number> y, Panels<Number> dy,
                            const float *log_sum, int64_t log_sum_stride, int64_t T, int64_t D,
                            Panels<float> dq, Panels<float> dk, Panels<float> dv) {
    for (int64_t first = 0; first < T; first += TILE) {
        int64_t begin = first_key(starts, first), end = first + TILE, size = end - begin;
        attention_scores(amx, s, starts, q, first, D);
        multiply<Number>(amx, dy.from(first, 0), s.v_columns.from(0, begin), TILE, size, D,
                         s.d_weights.from(0, begin));
        for (int m = 0; m < TILE; m++) {
            Row<float> row = s.scores.row(m), d_row = s.d_weights.row(m);
            Row<Number> y_D = y.row(first + m), dy_D = dy.row(first + m);
            Row<Number> d_scores = s.weights.row(m);
            float log_sum_m = log_sum[(first + m) * log_sum_stride];
            Lanes products = {};
            for (int64_t d = 0; d < D; d += LANES) products += load(y_D + d) * load(dy_D + d);
            float mean = sum_lanes<LANES>(products);
            for (int64_t k = begin; k < end; k += LANES) {
                Lanes weight = exponential(load(row + k) - log_sum_m);
                Lanes d_score = weight * (load(d_row + k) - mean);
                store(weight, row + k);
                store(d_score, d_row + k);
                store(d_score, d_scores + k);
            }
        }
        for (int64_t n = begin; n < end; n += TILE) {
            transpose_tile(s.scores.at(0, n), s.weights_TT.at(n, first));
            transpose_tile(s.d_weights.at(0, n), s.d_scores_TT.at(n, first));
        }
        multiply<Number>(amx, s.weights.from(0, begin), s.k_rows.from(begin, 0), TILE, D, size,
                         dq.from(first, 0));
    }
    for (int64_t key = 0, end = TILE; key < T; key += TILE) {  // of queries that attend to it
        while (end < T && first_key(starts, end) <= key) end += TILE;
        multiply(amx, s.weights_TT.from(key, key), s.dy_rows.from(key, 0), TILE, D, end - key,
                 dv.from(key, 0), true);
        multiply(amx, s.d_scores_TT.from(key, key), s.q_rows.from(key, 0), TILE, D, end - key,
                 dk.from(key, 0), true);
    }
}
