// The output head and cross-entropy of some tokens, forward and backward, 32 tokens at a time: all
// logits of a batch are never in memory together.

#pragma once

#include "linear.h"
#include "ops.h"

constexpr int64_t LOSS_TOKENS = 256;  // tokens whose gradients of the logits are kept

template <class Number>
struct LossScratch {
    Buffer<Number> x;          // (LOSS_TOKENS, C), the inputs of the head
    Buffer<Number> x_columns;  // (C, LOSS_TOKENS), and padding
    Buffer<float> logits;      // (32, V)
    Buffer<Number> d_logits;   // (32, V)
    Buffer<Number> d_panels;   // panels of (LOSS_TOKENS, V)

    LossScratch(int64_t C, int64_t V)
        : x(LOSS_TOKENS * C), x_columns((LOSS_TOKENS + TILE) * C), logits(TILE * V), d_logits(TILE * V),
          d_panels(LOSS_TOKENS * V) {}
};

// The softmax of a row of `size` logits, times `factor`, in place; padding becomes zero. Returns the
// cross-entropy of `target` in nats. The target's gradient still lacks its - factor.
static inline float softmax_loss(float *logits, int64_t size, int64_t padded, int64_t target,
                                 float factor) {
    float at_target = logits[target];
    for (int64_t v = size; v < padded; v++) logits[v] = -INFINITY;
    Lanes largest_lanes = load(logits), sums = {};
    for (int64_t v = LANES; v < padded; v += LANES)
        largest_lanes = larger(largest_lanes, load(logits + v));
    float largest = largest_lane(largest_lanes);
    for (int64_t v = 0; v < padded; v += LANES) {
        Lanes power = exponential(load(logits + v) - largest);
        sums += power;
        store(power, logits + v);
    }
    float sum = sum_lanes<LANES>(sums);
    for (int64_t v = 0; v < padded; v += LANES) store(load(logits + v) * (factor / sum), logits + v);
    for (int64_t v = size; v < padded; v++) logits[v] = 0;
    return largest + logf(sum) - at_target;
}

// The summed cross-entropy of up to LOSS_TOKENS tokens, and the gradients of `factor` times it.
//   head         the output head; its gradient is added to
//   s.x          (count, C), the head's inputs
//   targets      (count)
//   vocabulary   tokens, of which the head's outputs are padded
//   use_gradient called with a token's number and the gradient (C) of its inputs
template <class Number, class Use>
static double head_loss(bool amx, int thread, Linear<Number> &head, LossScratch<Number> &s,
                        const int64_t *targets, int64_t count, int64_t vocabulary, float factor,
                        Use use_gradient) {
    int64_t C = head.in, V = head.out, padded = round_up(count);
    double loss = 0;
    memset((void *)(s.x + count * C), 0, (padded - count) * C * sizeof(Number));
    for (int64_t first = 0; first < padded; first += TILE) {
        // 1. Logits (32, V).
        multiply(amx, s.x + first * C, C, (const Number *)head.forward, C, TILE, V, C,
                 write_into(s.logits, V));
        // 2. Losses, and the logits' gradients in their place.
        int64_t real = count - first < TILE ? count - first : TILE;
        for (int64_t m = 0; m < real; m++) {
            float *row = s.logits + m * V;
            loss += softmax_loss(row, vocabulary, V, targets[first + m], factor);
            row[targets[first + m]] -= factor;
        }
        if (real < TILE) memset(s.logits + real * V, 0, (TILE - real) * V * sizeof(float));
        for (int m = 0; m < TILE; m += 2)
            for (int64_t v = 0; v < V; v += TILE)
                write_panel_rows(s.logits + m * V + v, s.logits + (m + 1) * V + v,
                                 s.d_panels + v * padded, first + m);
        convert((const float *)s.logits, (Number *)s.d_logits, TILE * V);
        // 3. Gradients of the inputs.
        multiply(amx, (const Number *)s.d_logits, V, (const Number *)head.backward, V, TILE, C, V,
                 [&](int64_t, int64_t n, const float *tile) {
                     for (int64_t m = 0; m < real; m++)
                         use_gradient(first + m, n, tile + m * TILE);
                 });
    }
    // 4. The gradient of the head.
    int64_t stride = padded + TILE;
    transpose((const Number *)s.x, C, padded, C, s.x_columns, stride);
    head.add_gradient(amx, thread, s.x_columns, stride, s.d_panels, padded);
    return loss;
}
