// The linear layers of the model, each packed once a step for all its products.
//
// A layer multiplies by one matrix (in, out), which may join several of the model's weights
// (queries, keys and values; gate and up) and the weight of the norm before it: RMSNorm's weight
// scales the inputs, so it scales the columns of the matrix as well. Both sizes are padded to
// multiples of 32, with zeros.

#pragma once

#include <vector>

#include "gemm.h"

template <class Number>
struct Linear {
    int64_t in, out;  // padded
    // Of each output, its row of a weight of the model and of the weight's gradient; null if it is
    // padding. Of each input, its column in these rows; -1 if it is padding.
    std::vector<const float *> weight_rows;
    std::vector<float *> gradient_rows;
    std::vector<int> columns;
    const float *norm = nullptr;     // the weight (in) of the norm before, or null
    float *norm_gradient = nullptr;  // (in), written
    Matrix<Number> forward;          // (in, out), paired: y = x * forward
    Matrix<Number> backward;         // (out, in), paired: dx = dy * backward
    // Of each thread, the sums (in, out) over its tokens of x^T dy, and whether there are any.
    std::vector<Matrix<float>> gradients;
    std::vector<char> has_gradient;

    Linear(int64_t n_inputs, int64_t n_outputs, int n_threads)
        : in(round_up(n_inputs)), out(round_up(n_outputs)), weight_rows(out), gradient_rows(out),
          columns(in, -1), forward(in, out), backward(out, in), has_gradient(n_threads) {
        for (int i = 0; i < n_threads; i++) gradients.emplace_back(in, out);
    }

    // The matrix's rows `first` and on, one for each output, are the rows of this weight.
    void join(const float *weight, float *gradient, int64_t row_size, int64_t first, int64_t count) {
        for (int64_t i = 0; i < count; i++) {
            weight_rows[first + i] = weight + i * row_size;
            gradient_rows[first + i] = gradient + i * row_size;
        }
    }

    // Inputs `first` and on are the columns from `column` on.
    void map_columns(int64_t first, int64_t column, int64_t count) {
        for (int64_t i = 0; i < count; i++) columns[first + i] = int(column + i);
    }

    // Pack 32 inputs of the matrix, `first` and on, for forward and backward products.
    void pack(int64_t first) {
        alignas(64) float tile[TILE_SIZE], transposed[TILE_SIZE];
        for (int64_t o = 0; o < out; o += TILE) {
            for (int m = 0; m < TILE; m++)
                for (int i = 0; i < TILE; i += LANES)
                    store(scaled_weights(o + m, first + i), tile + m * TILE + i);
            pair_tile(tile, backward.at(o, first));
            transpose_tile(tile, transposed);
            pair_tile(transposed, forward.at(first, o));
        }
    }

    // Add x^T dy to the gradient of a thread.
    //   x_columns  (in, size), the transpose of the inputs of `size` tokens
    //   dy         (size, out), paired
    void add_gradient(bool amx, int thread, Panels<Number> x_columns, Panels<Number> dy,
                      int64_t size) {
        if (size == 0) return;
        multiply(amx, x_columns, dy, in, out, size, gradients[thread], has_gradient[thread]);
        has_gradient[thread] = true;
    }

    // Write the gradients of 32 inputs, `first` and on, into those of the model's weights: the sum
    // over the threads, in their order. Returns the sum of squares.
    double reduce(int64_t first) {
        alignas(64) float tile[TILE_SIZE], by_output[TILE_SIZE], norm_sums[TILE] = {};
        double squares = 0;
        for (int64_t o = 0; o < out; o += TILE) {
            memset(tile, 0, sizeof tile);
            for (size_t thread = 0; thread < gradients.size(); thread++)
                if (has_gradient[thread]) {
                    const float *sums = gradients[thread].at(first, o);
                    for (int i = 0; i < TILE_SIZE; i += LANES)
                        store(load(tile + i) + load(sums + i), tile + i);
                }
            transpose_tile(tile, by_output);
            Lanes tile_squares = {};
            for (int m = 0; m < TILE; m++)
                for (int i = 0; i < TILE && weight_rows[o + m]; i += LANES)
                    tile_squares += write_gradients(o + m, first + i, by_output + m * TILE + i,
                                                    norm_sums + i);
            squares += sum_lanes<LANES>(tile_squares);
        }
        if (norm)
            for (int i = 0; i < TILE; i++)
                if (int column = columns[first + i]; column >= 0) {
                    norm_gradient[column] = norm_sums[i];
                    squares += double(norm_sums[i]) * norm_sums[i];
                }
        return squares;
    }

  private:
    // Whether LANES inputs, `first` and on, lie side by side in the rows of the weights.
    bool side_by_side(int64_t first) const {
        for (int i = 0; i < LANES; i++)
            if (columns[first + i] != columns[first] + i) return false;
        return columns[first] >= 0;
    }

    // LANES numbers of the matrix's row `output`: those of the weight, times those of the norm.
    Lanes scaled_weights(int64_t output, int64_t first) const {
        const float *row = weight_rows[output];
        Lanes values = {};
        if (row && side_by_side(first)) {
            values = load(row + columns[first]);
            return norm ? values * load(norm + columns[first]) : values;
        }
        for (int i = 0; row && i < LANES; i++)
            if (int column = columns[first + i]; column >= 0)
                values[i] = row[column] * (norm ? norm[column] : 1);
        return values;
    }

    // Write LANES gradients of a row of the matrix as those of the weight, and add to those of the
    // norm. Returns their squares.
    Lanes write_gradients(int64_t output, int64_t first, const float *sums, float *norm_sums) {
        const float *row = weight_rows[output];
        float *to = gradient_rows[output];
        if (side_by_side(first)) {
            int column = columns[first];
            Lanes gradient = load(sums);
            store(load(norm_sums) + gradient * load(row + column), norm_sums);
            if (norm) gradient *= load(norm + column);
            store(gradient, to + column);
            return gradient * gradient;
        }
        Lanes squares = {};
        for (int i = 0; i < LANES; i++) {
            int column = columns[first + i];
            if (column < 0) continue;
            norm_sums[i] += sums[i] * row[column];
            to[column] = sums[i] * (norm ? norm[column] : 1);
            squares[i] = to[column] * to[column];
        }
        return squares;
    }
};
