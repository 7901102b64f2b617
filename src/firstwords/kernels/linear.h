// The linear layers of the model, each packed once a step for all its products.
//
// A layer multiplies by one matrix (in, out), which may join several of the model's weights
// (queries, keys and values; gate and up) and the weight of the norm before it: RMSNorm's weight
// scales the inputs, so it scales the columns of the matrix as well. Both sizes are padded to
// multiples of 32, with zeros.

#pragma once

#include <memory>
#include <new>
#include <vector>

#include "gemm.h"

// Memory for `count` numbers, aligned to cache lines and zero at first.
template <class Number>
class Buffer {
  public:
    Buffer() = default;
    explicit Buffer(int64_t count)
        : memory(new(std::align_val_t(64)) char[count * sizeof(Number)]()) {}
    operator Number *() const { return (Number *)memory.get(); }

  private:
    struct Free {
        void operator()(char *memory) const { operator delete[](memory, std::align_val_t(64)); }
    };
    std::unique_ptr<char[], Free> memory;
};

static inline int64_t round_up(int64_t size, int64_t unit = TILE) {
    return (size + unit - 1) / unit * unit;
}

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
    Buffer<Number> forward;          // panels of (in, out): y = x * forward
    Buffer<Number> backward;         // panels of (out, in): dx = dy * backward
    // Of each thread, the sums (in, out) over its tokens of x^T dy, and whether there are any.
    std::vector<Buffer<float>> gradients;
    std::vector<char> has_gradient;

    Linear(int64_t n_inputs, int64_t n_outputs, int n_threads)
        : in(round_up(n_inputs)), out(round_up(n_outputs)), weight_rows(out), gradient_rows(out),
          columns(in, -1), forward(in * out), backward(in * out), has_gradient(n_threads) {
        for (int i = 0; i < n_threads; i++) gradients.emplace_back(in * out);
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
        alignas(64) float tile[TILE * TILE], transposed[TILE * TILE];
        for (int64_t o = 0; o < out; o += TILE) {
            for (int m = 0; m < TILE; m++) {
                const float *row = weight_rows[o + m];
                for (int i = 0; i < TILE; i++) {
                    int column = columns[first + i];
                    bool real = row && column >= 0;
                    float value = real ? row[column] * (norm ? norm[column] : 1) : 0;
                    tile[m * TILE + i] = transposed[i * TILE + m] = value;
                }
            }
            tile_to_panel(tile, backward + first * out, o);
            tile_to_panel(transposed, forward + o * in, first);
        }
    }

    // Add x^T dy to the gradient of a thread.
    //   x_columns  (in, size), row-major: the transpose of the inputs of `size` tokens
    //   stride     numbers from one row of x_columns to the next
    //   dy_panels  panels of (size, out)
    void add_gradient(bool amx, int thread, const Number *x_columns, int64_t stride,
                      const Number *dy_panels, int64_t size) {
        float *sums = gradients[thread];
        if (has_gradient[thread])
            multiply(amx, x_columns, stride, dy_panels, size, in, out, size, add_to(sums, out));
        else
            multiply(amx, x_columns, stride, dy_panels, size, in, out, size, write_into(sums, out));
        has_gradient[thread] = true;
    }

    // Write the gradients of 32 inputs, `first` and on, into those of the model's weights: the sum
    // over the threads, in their order. Returns the sum of squares.
    double reduce(int64_t first) {
        float tile[TILE * TILE], norm_sums[TILE] = {};
        double squares = 0;
        for (int64_t o = 0; o < out; o += TILE) {
            memset(tile, 0, sizeof tile);
            for (size_t thread = 0; thread < gradients.size(); thread++)
                if (has_gradient[thread])
                    for (int i = 0; i < TILE; i++) {
                        const float *row = gradients[thread] + (first + i) * out + o;
                        for (int m = 0; m < TILE; m++) tile[i * TILE + m] += row[m];
                    }
            for (int m = 0; m < TILE; m++) {
                if (!weight_rows[o + m]) continue;
                float sum = 0;
                for (int i = 0; i < TILE; i++) {
                    int column = columns[first + i];
                    if (column < 0) continue;
                    float gradient = tile[i * TILE + m];
                    norm_sums[i] += gradient * weight_rows[o + m][column];
                    gradient *= norm ? norm[column] : 1;
                    gradient_rows[o + m][column] = gradient;
                    sum += gradient * gradient;
                }
                squares += sum;
            }
        }
        if (norm)
            for (int i = 0; i < TILE; i++)
                if (int column = columns[first + i]; column >= 0) {
                    norm_gradient[column] = norm_sums[i];
                    squares += double(norm_sums[i]) * norm_sums[i];
                }
        return squares;
    }
};
