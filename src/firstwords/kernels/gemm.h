// Matrix products: C = A B in tiles of 32 x 32 outputs, in float32 or bfloat16.
//
// Every product of a training step is one of these. Its operands:
//
//     A   row-major: the `size` numbers that a row multiplies lie side by side
//     B   in panels of 32 columns: panel p holds columns 32 p to 32 p + 31 for all rows k, so that
//         a register loaded at row k holds one number of each of several columns. bfloat16 panels
//         keep rows 2 j and 2 j + 1 of a column side by side, because the processor multiplies
//         pairs: number (k, n) of a panel lies at k / 2 * 64 + n * 2 + k % 2.
//
// Sizes are multiples of 32; whoever makes an operand pads it with zeros. Tiles are float32 and stay
// in the first cache, where the caller's `use` takes them for what comes next (add to the residual
// stream, SwiGLU, softmax), so that a result is never written to memory only to be read again.
//
// Three kernels, one shape: AMX tiles (bfloat16), AVX-512 pairs (bfloat16), and vector extensions
// for everything else. All add the products of an output in order of k, whatever the number of
// threads: results are the same to the last bit on every repetition.

#pragma once

#include "vector.h"

#if defined(__AMX_BF16__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#define HAVE_AMX 1
#endif

constexpr int TILE = 32;

// --- operands -------------------------------------------------------------------------------------

// Copy `count` floats, a multiple of 32, as numbers.
template <class Number>
static inline void convert(const float *from, Number *to, int64_t count) {
    for (int64_t i = 0; i < count; i += LANES) store(load(from + i), to + i);
}

// Write rows k and k + 1 of a panel from two rows of 32 floats; k is even.
static inline void write_panel_rows(const float *row, const float *next, float *panel, int64_t k) {
    convert(row, panel + k * TILE, TILE);
    convert(next, panel + (k + 1) * TILE, TILE);
}

static inline void write_panel_rows(const float *row, const float *next, bfloat16 *panel,
                                    int64_t k) {
    for (int n = 0; n < TILE; n += LANES)
        *(Bits *)(panel + k * TILE + 2 * n) = round_pairs(load(row + n), load(next + n));
}

// Rows k to k + 31 of one panel from a tile (32, 32) of floats.
template <class Number>
static inline void tile_to_panel(const float *tile, Number *panel, int64_t k) {
    for (int m = 0; m < TILE; m += 2)
        write_panel_rows(tile + m * TILE, tile + (m + 1) * TILE, panel, k + m);
}

// A tile (32, 32) as rows of a row-major matrix.
template <class Number>
static inline void tile_to_rows(const float *tile, Number *rows, int64_t stride) {
    for (int m = 0; m < TILE; m++) convert(tile + m * TILE, rows + m * stride, TILE);
}

// What `multiply` does with the tiles of a product: write them into a matrix, or add them to it.
static inline auto write_into(float *matrix, int64_t stride) {
    return [=](int64_t m, int64_t n, const float *tile) {
        tile_to_rows(tile, matrix + m * stride + n, stride);
    };
}

static inline auto add_to(float *matrix, int64_t stride) {
    return [=](int64_t m, int64_t n, const float *tile) {
        for (int i = 0; i < TILE; i++)
            for (int j = 0; j < TILE; j += LANES) {
                float *sum = matrix + (m + i) * stride + n + j;
                store(load(sum) + load(tile + i * TILE + j), sum);
            }
    };
}

// The transpose (n_columns, n_rows) of a row-major matrix (n_rows, n_columns).
static void transpose(const float *matrix, int64_t stride, int64_t n_rows, int64_t n_columns,
                      float *to, int64_t to_stride) {
    for (int64_t m = 0; m < n_rows; m += LANES)
        for (int64_t n = 0; n < n_columns; n += LANES) {
            Bits square[LANES];
            for (int i = 0; i < LANES; i++)
                square[i] = (Bits)load(matrix + (m + i) * stride + n);
            transpose_square(square);
            for (int i = 0; i < LANES; i++) store((Lanes)square[i], to + (n + i) * to_stride + m);
        }
}

static void transpose(const bfloat16 *matrix, int64_t stride, int64_t n_rows, int64_t n_columns,
                      bfloat16 *to, int64_t to_stride) {
    for (int64_t m = 0; m < n_rows; m += 2 * LANES)
        for (int64_t n = 0; n < n_columns; n += LANES) {
            Bits square[LANES];  // pairs of rows
            for (int i = 0; i < LANES; i++) {
                const bfloat16 *row = matrix + (m + 2 * i) * stride + n;
                square[i] = __builtin_convertvector(*(const HalfBits *)row, Bits) |
                            __builtin_convertvector(*(const HalfBits *)(row + stride), Bits) << 16;
            }
            transpose_square(square);
            for (int i = 0; i < LANES; i++) *(Bits *)(to + (n + i) * to_stride + m) = square[i];
        }
}

// The transpose of a tile (32, 32) as rows of a row-major matrix.
static inline void tile_to_columns(const float *tile, float *rows, int64_t stride) {
    transpose(tile, TILE, TILE, TILE, rows, stride);
}

static inline void tile_to_columns(const float *tile, bfloat16 *rows, int64_t stride) {
    for (int m = 0; m < TILE; m += 2 * LANES)
        for (int n = 0; n < TILE; n += LANES) {
            Bits square[LANES];
            for (int i = 0; i < LANES; i++) {
                const float *row = tile + (m + 2 * i) * TILE + n;
                square[i] = round_pairs(load(row), load(row + TILE));
            }
            transpose_square(square);
            for (int i = 0; i < LANES; i++) *(Bits *)(rows + (n + i) * stride + m) = square[i];
        }
}

// Panels of a row-major matrix (n_rows, n_columns): B[k][n] = matrix[k][n].
//   panel_rows  rows of the whole panels, of which these are rows `first` and on
static void rows_to_panels(const float *matrix, int64_t stride, int64_t n_rows, int64_t n_columns,
                           float *panels, int64_t panel_rows, int64_t first) {
    for (int64_t n = 0; n < n_columns; n += TILE)
        for (int64_t k = 0; k < n_rows; k++)
            convert(matrix + k * stride + n, panels + n * panel_rows + (first + k) * TILE, TILE);
}

static void rows_to_panels(const bfloat16 *matrix, int64_t stride, int64_t n_rows,
                           int64_t n_columns, bfloat16 *panels, int64_t panel_rows, int64_t first) {
    for (int64_t n = 0; n < n_columns; n += LANES)
        for (int64_t k = 0; k < n_rows; k += 2) {
            const bfloat16 *row = matrix + k * stride + n;
            bfloat16 *to = panels + n / TILE * TILE * panel_rows + (first + k) * TILE + n % TILE * 2;
            *(Bits *)to = __builtin_convertvector(*(const HalfBits *)row, Bits) |
                          __builtin_convertvector(*(const HalfBits *)(row + stride), Bits) << 16;
        }
}

// Panels of the transpose of a row-major matrix (n_rows, n_columns): B[k][n] = matrix[n][k].
static void columns_to_panels(const float *matrix, int64_t stride, int64_t n_rows,
                              int64_t n_columns, float *panels) {
    for (int64_t n = 0; n < n_rows; n += TILE)
        transpose(matrix + n * stride, stride, TILE, n_columns, panels + n * n_columns, TILE);
}

static void columns_to_panels(const bfloat16 *matrix, int64_t stride, int64_t n_rows,
                              int64_t n_columns, bfloat16 *panels) {
    for (int64_t n = 0; n < n_rows; n += TILE)  // pairs of columns as words
        transpose((const float *)(matrix + n * stride), stride / 2, TILE, n_columns / 2,
                  (float *)(panels + n * n_columns), TILE);
}

// --- kernels --------------------------------------------------------------------------------------

// ROWS x VECTORS registers of sums: rows of A times columns of a panel.
template <int ROWS, int VECTORS>
static inline void multiply_block(const float *a, int64_t stride, const float *panel, int64_t size,
                                  float *tile) {
    Lanes sums[ROWS][VECTORS] = {};
    for (int64_t k = 0; k < size; k++) {
        Lanes b[VECTORS];
        for (int v = 0; v < VECTORS; v++) b[v] = *(const Lanes *)(panel + k * TILE + v * LANES);
        for (int m = 0; m < ROWS; m++)
            for (int v = 0; v < VECTORS; v++) sums[m][v] += a[m * stride + k] * b[v];
    }
    for (int m = 0; m < ROWS; m++)
        for (int v = 0; v < VECTORS; v++) *(Lanes *)(tile + m * TILE + v * LANES) = sums[m][v];
}

#if defined(__AVX512BF16__)
static inline Lanes add_pairs(Lanes sums, uint32_t a, Bits b) {
    return (Lanes)_mm512_dpbf16_ps((__m512)sums, (__m512bh)_mm512_set1_epi32(int(a)), (__m512bh)b);
}
#else
static inline Lanes add_pairs(Lanes sums, uint32_t a, Bits b) {
    Bits a_lanes = Bits{} + a;
    return sums + (Lanes)(a_lanes << 16) * (Lanes)(b << 16) +
           (Lanes)(a_lanes & 0xffff0000) * (Lanes)(b & 0xffff0000);
}
#endif

template <int ROWS, int VECTORS>
static inline void multiply_block(const bfloat16 *a, int64_t stride, const bfloat16 *panel,
                                  int64_t size, float *tile) {
    Lanes sums[ROWS][VECTORS] = {};
    for (int64_t k = 0; k < size; k += 2) {
        Bits b[VECTORS];
        for (int v = 0; v < VECTORS; v++)
            b[v] = *(const Bits *)(panel + k * TILE + v * 2 * LANES);
        for (int m = 0; m < ROWS; m++) {
            uint32_t pair;
            memcpy(&pair, a + m * stride + k, sizeof pair);
            for (int v = 0; v < VECTORS; v++) sums[m][v] = add_pairs(sums[m][v], pair, b[v]);
        }
    }
    for (int m = 0; m < ROWS; m++)
        for (int v = 0; v < VECTORS; v++) *(Lanes *)(tile + m * TILE + v * LANES) = sums[m][v];
}

#if HAVE_AMX
// Configure this thread's eight tile registers: 16 rows of 64 bytes each.
static inline void configure_tiles() {
    struct {
        uint8_t palette = 1, start_row = 0, reserved[14] = {};
        uint16_t column_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
        uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } config;
    _tile_loadconfig(&config);
}

// Ask the operating system for the tile registers; returns whether it grants them.
static inline bool request_amx() {
    constexpr int ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18;
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

static inline void multiply_tile_amx(const bfloat16 *a, int64_t stride, const bfloat16 *panel,
                                     int64_t size, float *tile) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t k = 0; k < size; k += TILE) {
        _tile_loadd(4, a + k, stride * sizeof(bfloat16));
        _tile_loadd(6, panel + k * TILE, 4 * TILE);
        _tile_loadd(7, panel + k * TILE + TILE, 4 * TILE);
        _tile_loadd(5, a + 16 * stride + k, stride * sizeof(bfloat16));
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, tile, 4 * TILE);
    _tile_stored(1, tile + 16, 4 * TILE);
    _tile_stored(2, tile + 16 * TILE, 4 * TILE);
    _tile_stored(3, tile + 16 * TILE + 16, 4 * TILE);
}
#else
static inline void configure_tiles() {}
static inline bool request_amx() { return false; }
#endif

// A tile of the product: 32 rows of A times a panel. Both have `size` numbers to sum over.
//   a      row-major, `stride` numbers from row to row
//   tile   (32, 32), written
template <class Number>
static inline void multiply_tile(bool amx, const Number *a, int64_t stride, const Number *panel,
                                 int64_t size, float *tile) {
#if HAVE_AMX
    if constexpr (sizeof(Number) == 2)
        if (amx) return multiply_tile_amx(a, stride, panel, size, tile);
#endif
    constexpr int ROWS = REGISTERS == 32 ? 8 : 4, VECTORS = LANES == 4 && REGISTERS == 32 ? 4 : 2;
    for (int m = 0; m < TILE; m += ROWS)
        for (int n = 0; n < TILE; n += VECTORS * LANES)
            multiply_block<ROWS, VECTORS>(a + m * stride, stride,
                                          panel + n * (sizeof(Number) == 2 ? 2 : 1), size,
                                          tile + m * TILE + n);
}

// The product of A (n_rows, size) and B (size, n_columns), tile by tile.
//   panel_rows  rows of the panels, of which the product uses `size`; `panels` points to the first
//   use         called with the tile's first row and column, and the tile (32, 32)
template <class Number, class Use>
static inline void multiply(bool amx, const Number *a, int64_t stride, const Number *panels,
                            int64_t panel_rows, int64_t n_rows, int64_t n_columns, int64_t size,
                            Use use) {
    alignas(64) float tile[TILE * TILE];
    for (int64_t n = 0; n < n_columns; n += TILE)
        for (int64_t m = 0; m < n_rows; m += TILE) {
            multiply_tile(amx, a + m * stride, stride, panels + n * panel_rows, size, tile);
            use(m, n, tile);
        }
}
