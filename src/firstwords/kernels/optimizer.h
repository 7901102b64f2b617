// The optimizers: Muon for the matrices of the blocks, AdamW for everything else. They compute what
// training/optimizer.py and training/muon.py do, which explain the methods.

#pragma once

#include <algorithm>

#include "linear.h"

// A matrix (out, in) that Muon updates. Mirrors MuonStruct in kernels/train.py: same fields, same
// order.
struct MuonMatrix {
    float *weight;
    const float *gradient;
    float *momentum;
    int32_t out, in;
    int32_t block_rows, block_columns;  // of the blocks that are orthogonalized on their own
    float lr;
};

// Numbers that AdamW updates. Mirrors AdamStruct in kernels/train.py: same fields, same order.
struct AdamTensor {
    float *weight;
    const float *gradient;
    float *mean, *mean_square;
    int64_t size;
    float lr;
};

// Mirrors UpdateStruct in kernels/train.py: same fields, same order.
struct Update {
    const MuonMatrix *matrices;
    const AdamTensor *tensors;
    int32_t n_matrices, n_tensors;
    float momentum, beta1, beta2, eps;
    int64_t step;  // from 1
};

// One step of AdamW without weight decay (arXiv 1711.05101) for numbers `first` to `end` - 1.
static void adam_update(const AdamTensor &t, const Update &u, int64_t first, int64_t end) {
    float correction1 = float(1 - pow(u.beta1, u.step));
    float correction2 = float(1 / sqrt(1 - pow(u.beta2, u.step)));
    float rate = t.lr / correction1, beta1 = u.beta1, beta2 = u.beta2, eps = u.eps;
    float *__restrict weight = t.weight, *__restrict means = t.mean;
    float *__restrict squares = t.mean_square;
    const float *__restrict gradients = t.gradient;
    for (int64_t i = first; i < end; i++) {
        float gradient = gradients[i];
        float mean = means[i] + (1 - beta1) * (gradient - means[i]);
        float square = beta2 * squares[i] + (1 - beta2) * gradient * gradient;
        means[i] = mean;
        squares[i] = square;
        weight[i] -= rate * mean / (sqrtf(square) * correction2 + eps);
    }
}

// The polynomials of training/muon.py:POLAR_EXPRESS, which see.
constexpr float POLAR_EXPRESS[3][3] = {
    {8.0934f, -23.6204f, 17.4462f},
    {3.6366f, -2.7219f, 0.5365f},
    {2.6613f, -1.9772f, 0.4526f},
};
constexpr float NORM_MARGIN = 1.02f;

// Orthogonalizes blocks of up to R rows and C columns, R <= C, both padded to multiples of 32.
template <class Number>
class Orthogonalizer {
  public:
    Orthogonalizer(int64_t max_R, int64_t max_C)
        : x(max_R * max_C), operand(max_R * max_C), left(max_R * max_R), right(max_R * max_R),
          gram(max_R * max_R), product(max_R * max_R), stepped(max_R * max_R),
          other(max_R * max_R) {}

    // The nearest orthogonal matrix to a block (R, C), in place, approximately.
    void run(bool use_amx, Panels<float> block, int64_t R, int64_t C) {
        amx = use_amx;
        // 1. Divide by the norm, so that no singular value is above 1.
        float norm = NORM_MARGIN * sqrtf(dot(block.data, block.data, R * C)) + 1e-7f;
        for (int64_t i = 0; i < R * C; i += LANES) store(load(block.data + i) / norm, x + i);
        // 2. The Gram matrix, and the product of all polynomials of it.
        Panels<Number> x_RC{x, R}, x_CR{operand, C}, x_pairs{operand, R};
        Panels<float> gram_RR{gram, R}, product_RR{product, R}, stepped_RR{stepped, R};
        Panels<float> other_RR{other, R};
        transpose_and_pair(x_RC, R, C, x_CR);
        multiply(amx, x_RC, x_CR, R, R, C, gram_RR);
        polynomial(gram_RR, POLAR_EXPRESS[0], product_RR, R);
        for (int i = 1; i < 3; i++) {
            multiply_symmetric(product_RR, gram_RR, R, other_RR);
            multiply_symmetric(other_RR, product_RR, R, stepped_RR);  // the Gram matrix so far
            polynomial(stepped_RR, POLAR_EXPRESS[i], other_RR, R);
            multiply_symmetric(other_RR, product_RR, R, stepped_RR);
            std::swap(product_RR, stepped_RR);
        }
        // 3. That times the block.
        Panels<Number> left_RR{left, R};
        convert(product_RR.data, left_RR.data, R * R);
        pair(x_RC, R, C, x_pairs);
        multiply(amx, left_RR, x_pairs, R, C, R, block);
    }

  private:
    bool amx = false;
    Buffer<Number> x, operand, left, right;
    Buffer<float> gram, product, stepped, other;

    // a b, for polynomials a and b of the Gram matrix. Their products are symmetric, so that the half
    // below the diagonal is a copy of the half above.
    void multiply_symmetric(Panels<float> a, Panels<float> b, int64_t R, Panels<float> to) {
        Panels<Number> left_RR{left, R}, right_RR{right, R};
        convert(a.data, left_RR.data, R * R);
        pair(b, R, R, right_RR);
        for (int64_t n = 0; n < R; n += TILE) {
            multiply(amx, left_RR, right_RR.from(0, n), n + TILE, TILE, R, to.from(0, n));
            for (int64_t m = 0; m < n; m += TILE) transpose_tile(to.at(m, n), to.at(n, m));
        }
    }

    // a I + b G + c G G
    void polynomial(Panels<float> gram_RR, const float *coefficients, Panels<float> to_RR,
                    int64_t R) {
        multiply_symmetric(gram_RR, gram_RR, R, to_RR);
        for (int64_t i = 0; i < R * R; i += LANES)
            store(coefficients[2] * load(to_RR.data + i) + coefficients[1] * load(gram_RR.data + i),
                  to_RR.data + i);
        for (int64_t i = 0; i < R; i++) *to_RR.at(i, i) += coefficients[0];
    }
};

// What a thread needs to update matrices whose blocks have up to R rows and C columns, or the other
// way round, both padded.
template <class Number>
struct UpdateScratch {
    Orthogonalizer<Number> orthogonalizer;
    Buffer<float> block, transposed;

    UpdateScratch(int64_t max_R, int64_t max_C)
        : orthogonalizer(max_R, max_C), block(max_R * max_C), transposed(max_R * max_C) {}
};

// One step of Muon for one block of a matrix. Blocks with more rows than columns are transposed.
template <class Number>
static void muon_update(bool amx, UpdateScratch<Number> &scratch, const MuonMatrix &m,
                        int64_t number, float beta) {
    int64_t across = m.in / m.block_columns;
    int64_t first = number / across * m.block_rows * m.in + number % across * m.block_columns;
    int64_t rows = round_up(m.block_rows), columns = round_up(m.block_columns);
    Panels<float> block{scratch.block, rows}, transposed{scratch.transposed, columns};
    memset(block.data, 0, rows * columns * sizeof(float));
    for (int64_t r = 0; r < m.block_rows; r++) {
        float *__restrict momentum = m.momentum + first + r * m.in;
        const float *__restrict gradients = m.gradient + first + r * m.in;
        for (int64_t panel = 0; panel < m.block_columns; panel += TILE) {
            float *__restrict to = block.at(r, panel) - panel;
            int64_t end = std::min<int64_t>(panel + TILE, m.block_columns);
            for (int64_t c = panel; c < end; c++) {
                float gradient = gradients[c];
                float mean = momentum[c] + (1 - beta) * (gradient - momentum[c]);
                momentum[c] = mean;
                to[c] = gradient + beta * (mean - gradient);  // Nesterov
            }
        }
    }
    if (rows > columns) {
        transpose(block, rows, columns, transposed);
        scratch.orthogonalizer.run(amx, transposed, columns, rows);
        transpose(transposed, columns, rows, block);
    } else {
        scratch.orthogonalizer.run(amx, block, rows, columns);
    }
    // Scaled to a mean square of 1 / inputs however the matrix is cut into blocks.
    float scale = m.lr * sqrtf(float(std::max(m.block_rows, m.block_columns)) / m.in);
    for (int64_t r = 0; r < m.block_rows; r++) {
        float *weight = m.weight + first + r * m.in;
        for (int64_t panel = 0; panel < m.block_columns; panel += TILE) {
            const float *update = block.at(r, panel) - panel;
            int64_t end = std::min<int64_t>(panel + TILE, m.block_columns);
            for (int64_t c = panel; c < end; c++) weight[c] -= scale * update[c];
        }
    }
}
