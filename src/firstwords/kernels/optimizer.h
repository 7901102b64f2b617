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
        : x_RC(max_R * max_C), panels(max_R * max_C), factor(max_R * max_R), gram_RR(max_R * max_R),
          factor_RR(max_R * max_R), stepped_RR(max_R * max_R), other_RR(max_R * max_R),
          square_panels(max_R * max_R) {}

    // The nearest orthogonal matrix to a block (R, C), in place, approximately.
    void run(bool amx, float *block_RC, int64_t R, int64_t C) {
        // 1. Divide by the norm, so that no singular value is above 1.
        float norm = NORM_MARGIN * sqrtf(dot(block_RC, block_RC, R * C)) + 1e-7f;
        for (int64_t i = 0; i < R * C; i += LANES) store(load(block_RC + i) / norm, x_RC + i);
        // 2. The Gram matrix, and the product of all polynomials of it.
        columns_to_panels(x_RC, C, R, C, panels);
        multiply(amx, (const Number *)x_RC, C, (const Number *)panels, C, R, R, C, write_into(gram_RR, R));
        polynomial(gram_RR, POLAR_EXPRESS[0], factor_RR, R);
        for (int i = 1; i < 3; i++) {
            product(factor_RR, gram_RR, other_RR, R);
            product(other_RR, factor_RR, stepped_RR, R);  // the Gram matrix after the steps so far
            polynomial(stepped_RR, POLAR_EXPRESS[i], other_RR, R);
            product(other_RR, factor_RR, stepped_RR, R);
            std::swap(factor_RR, stepped_RR);
        }
        // 3. That times the block.
        convert((const float *)factor_RR, (Number *)factor, R * R);
        rows_to_panels((const Number *)x_RC, C, R, C, panels, R, 0);
        multiply(amx, (const Number *)factor, R, (const Number *)panels, R, R, C, R,
                 write_into(block_RC, C));
    }

  private:
    Buffer<Number> x_RC, panels, factor;
    Buffer<float> gram_RR, factor_RR, stepped_RR, other_RR, square_panels;

    void product(const float *a_RR, const float *b_RR, float *to_RR, int64_t R) {
        rows_to_panels(b_RR, R, R, R, square_panels, R, 0);
        multiply(false, a_RR, R, (const float *)square_panels, R, R, R, R, write_into(to_RR, R));
    }

    // a I + b G + c G G
    void polynomial(const float *gram_RR, const float *coefficients, float *to_RR, int64_t R) {
        product(gram_RR, gram_RR, to_RR, R);
        for (int64_t i = 0; i < R * R; i += LANES)
            store(coefficients[2] * load(to_RR + i) + coefficients[1] * load(gram_RR + i),
                  to_RR + i);
        for (int64_t i = 0; i < R; i++) to_RR[i * R + i] += coefficients[0];
    }
};

// One step of Muon for one block of a matrix. Blocks with more rows than columns are transposed.
//   block, transposed  scratch of the block's size, padded; `block` is zero
template <class Number>
static void muon_update(bool amx, Orthogonalizer<Number> &orthogonalizer, const MuonMatrix &m,
                        int64_t number, float beta, float *block, float *transposed) {
    int64_t across = m.in / m.block_columns;
    int64_t first = number / across * m.block_rows * m.in + number % across * m.block_columns;
    int64_t rows = round_up(m.block_rows), columns = round_up(m.block_columns);
    for (int64_t r = 0; r < m.block_rows; r++) {
        float *__restrict to = block + r * columns;
        float *__restrict momentum = m.momentum + first + r * m.in;
        const float *__restrict gradients = m.gradient + first + r * m.in;
        for (int64_t c = 0; c < m.block_columns; c++) {
            float gradient = gradients[c];
            float mean = momentum[c] + (1 - beta) * (gradient - momentum[c]);
            momentum[c] = mean;
            to[c] = gradient + beta * (mean - gradient);  // Nesterov
        }
    }
    if (rows > columns) {
        transpose(block, columns, rows, columns, transposed, rows);
        orthogonalizer.run(amx, transposed, columns, rows);
        transpose(transposed, rows, columns, rows, block, columns);
    } else {
        orthogonalizer.run(amx, block, rows, columns);
    }
    // Scaled to a mean square of 1 / inputs however the matrix is cut into blocks.
    float scale = m.lr * sqrtf(float(std::max(m.block_rows, m.block_columns)) / m.in);
    for (int64_t r = 0; r < m.block_rows; r++) {
        float *weight = m.weight + first + r * m.in, *update = block + r * columns;
        for (int64_t c = 0; c < m.block_columns; c++) {
            weight[c] -= scale * update[c];
            update[c] = 0;
        }
    }
}
