// The output head and cross-entropy of some tokens, forward and backward, 32 tokens at a time: all
// logits of a batch are never in memory together.

#pragma once

#include "linear.h"
#include "ops.h"

constexpr int64_t LOSS_TOKENS = 256;  // tokens whose gradients of the logits are kept

template <class Number>
struct LossScratch {
    Matrix<Number> x;          // (LOSS_TOKENS, C), the inputs of the head
    Matrix<Number> x_columns;  // (C, LOSS_TOKENS)
    Matrix<float> logits;      // (32, V)
    Matrix<Number> d_logits;   // (32, V)
    Matrix<Number> d_rows;     // (LOSS_TOKENS, V), paired

    LossScratch(int64_t C, int64_t V)
        : x(LOSS_TOKENS, C), x_columns(C, LOSS_TOKENS), logits(TILE, V), d_logits(TILE, V),
          d_rows(LOSS_TOKENS, V) {}
};

// The softmax of a row of `size` logits, times `factor`, in place; padding becomes zero. Returns the
// cross-entropy of `target` in nats. The target's gradient still lacks its - factor.
static inline float softmax_loss(Row<float> logits, int64_t size, int64_t padded, int64_t target,
                                 float factor) {
    float at_target = *(logits + target);
    for (int64_t v = size; v < padded; v++) *(logits + v) = -INFINITY;
    Softmax softmax = exponentiate(logits, logits, padded);
    float scale = factor / softmax.sum;
    for (int64_t v = 0; v < padded; v += LANES) store(load(logits + v) * scale, logits + v);
    for (int64_t v = size; v < padded; v++) *(logits + v) = 0;
    return softmax.largest + logf(softmax.sum) - at_target;
}

// The weighted sum of the cross-entropy of up to LOSS_TOKENS tokens, and the gradients of `factor`
// times it.
//   head         the output head; its gradient is added to
//   s.x          (count, C), the head's inputs
//   targets      (count)
//   weights      (count), of the targets
//   vocabulary   tokens, of which the head's outputs are padded
//   use_gradient called with a token's number, a multiple of 32 and the gradient of 32 of its inputs
template <class Number, class Use>
static double head_loss(bool amx, int thread, Linear<Number> &head, LossScratch<Number> &s,
                        const int64_t *targets, const float *weights, int64_t count,
                        int64_t vocabulary, float factor, Use use_gradient) {
    int64_t C = head.in, V = head.out, padded = round_up(count);
    double loss = 0;
    for (int64_t m = count; m < padded; m++)
        for (int64_t c = 0; c < C; c += TILE) memset((void *)s.x.at(m, c), 0, TILE * sizeof(Number));
    for (int64_t first = 0; first < padded; first += TILE) {
        // 1. Logits (32, V).
        multiply<Number>(amx, s.x.from(first, 0), head.forward, TILE, V, C, s.logits);
        // 2. Losses, and the logits' gradients in their place.
        int64_t real = count - first < TILE ? count - first : TILE;
        for (int64_t m = 0; m < TILE; m++)
            if (m < real) {
                int64_t target = targets[first + m];
                float weight = weights[first + m];
                loss += weight *
                        softmax_loss(s.logits.row(m), vocabulary, V, target, weight * factor);
                *s.logits.at(m, target) -= weight * factor;
            } else {
                for (int64_t v = 0; v < V; v += TILE)
                    memset(s.logits.at(m, v), 0, TILE * sizeof(float));
            }
        pair<float, Number>(s.logits, TILE, V, s.d_rows.from(first, 0));
        convert(s.logits.data, s.d_logits.data, TILE * V);
        // 3. Gradients of the inputs.
        multiply_and_use<Number>(amx, s.d_logits, head.backward, TILE, C, V,
                                 [&](int64_t, int64_t n, const float *tile) {
                                     for (int64_t m = 0; m < real; m++)
                                         use_gradient(first + m, n, tile + m * TILE);
                                 });
    }
    // 4. The gradient of the head.
    transpose<Number>(s.x, padded, C, s.x_columns);
    head.add_gradient(amx, thread, s.x_columns, s.d_rows, padded);
    return loss;
}
