// Matrix products: C = A B in tiles of 32 x 32 outputs, in float32 or bfloat16.
//
// Every product of a training step is one of these. All matrices are kept in panels of 32 columns: a
// panel holds its columns of all rows, row after row, so that a tile (32, 32) is 1,024 numbers side
// by side. Tiles of row-major matrices would be 32 pieces in 32 places, and writing them took a fifth
// of a step (docs/lab-notebook.md#native-training-step).
//
// The second operand in bfloat16 has its rows 2 j and 2 j + 1 of a column side by side, because the
// processor multiplies pairs: it is "paired". Sizes are multiples of 32; whatever makes a matrix pads
// it with zeros. Products are float32.
//
// Three kernels, one shape: AMX tiles (bfloat16), AVX-512 pairs (bfloat16), and vector extensions
// for everything else. All add the products of an output in order of k, whatever the number of
// threads: results are the same to the last bit on every repetition.

#pragma once

#include <memory>
#include <new>

#include "vector.h"

#if defined(__AMX_BF16__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#define HAVE_AMX 1
#endif

constexpr int TILE = 32;
constexpr int TILE_SIZE = TILE * TILE;

// --- matrices -------------------------------------------------------------------------------------

// A row of a matrix in panels; `row + i` is the place of its number i.
template <class Number>
struct Row {
    Number *data;
    int64_t panel;  // numbers from one panel to the next

    Number *operator+(int64_t i) const { return data + i / TILE * panel + i % TILE; }
};

// A matrix in panels, or a part of one.
template <class Number>
struct Panels {
    Number *data;
    int64_t rows;  // of each panel

    // The place of a number, or of the tile that starts there.
    Number *at(int64_t m, int64_t n) const {
        return data + n / TILE * TILE * rows + m * TILE + n % TILE;
    }

    Row<Number> row(int64_t m) const { return {data + m * TILE, rows * TILE}; }

    // The part from row m and column n on, a multiple of 32.
    Panels from(int64_t m, int64_t n) const { return {at(m, n), rows}; }
};

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

// A matrix with its memory.
template <class Number>
struct Matrix : Panels<Number> {
    Matrix() = default;
    Matrix(int64_t rows, int64_t columns) : Matrix(rows, Buffer<Number>(rows * columns)) {}

  private:
    Matrix(int64_t rows, Buffer<Number> buffer)
        : Panels<Number>{buffer, rows}, memory(std::move(buffer)) {}
    Buffer<Number> memory;
};

static inline int64_t round_up(int64_t size, int64_t unit = TILE) {
    return (size + unit - 1) / unit * unit;
}

// --- tiles ----------------------------------------------------------------------------------------

// Copy `count` floats, a multiple of 32, as numbers.
template <class Number>
static inline void convert(const float *from, Number *to, int64_t count) {
    for (int64_t i = 0; i < count; i += LANES) store(load(from + i), to + i);
}

// LANES columns of a row of a tile and of the row below, as pairs of bfloat16.
static inline Bits row_pairs(const float *row) { return round_pairs(load(row), load(row + TILE)); }

static inline Bits row_pairs(const bfloat16 *row) {
    return __builtin_convertvector(*(const HalfBits *)row, Bits) |
           __builtin_convertvector(*(const HalfBits *)(row + TILE), Bits) << 16;
}

// A tile as one of a second operand.
static inline void pair_tile(const float *tile, float *to) { convert(tile, to, TILE_SIZE); }

template <class From>
static inline void pair_tile(const From *tile, bfloat16 *to) {
    for (int m = 0; m < TILE; m += 2)
        for (int n = 0; n < TILE; n += LANES)
            *(Bits *)(to + m * TILE + 2 * n) = row_pairs(tile + m * TILE + n);
}

// The transpose of a tile.
static inline void transpose_tile(const float *tile, float *to) {
    for (int m = 0; m < TILE; m += LANES)
        for (int n = 0; n < TILE; n += LANES) {
            Bits square[LANES];
            for (int i = 0; i < LANES; i++) square[i] = (Bits)load(tile + (m + i) * TILE + n);
            transpose_square(square);
            for (int i = 0; i < LANES; i++) store((Lanes)square[i], to + (n + i) * TILE + m);
        }
}

template <class From>
static inline void transpose_tile(const From *tile, bfloat16 *to) {
    for (int m = 0; m < TILE; m += 2 * LANES)
        for (int n = 0; n < TILE; n += LANES) {
            Bits square[LANES];
            for (int i = 0; i < LANES; i++) square[i] = row_pairs(tile + (m + 2 * i) * TILE + n);
            transpose_square(square);
            for (int i = 0; i < LANES; i++) *(Bits *)(to + (n + i) * TILE + m) = square[i];
        }
}

// The transpose of a tile as one of a second operand.
static inline void transpose_and_pair_tile(const float *tile, float *to) {
    transpose_tile(tile, to);
}

static inline void transpose_and_pair_tile(const bfloat16 *tile, bfloat16 *to) {
    const float *pairs = (const float *)tile;  // (32, 16), pairs of columns as words
    for (int m = 0; m < TILE; m += LANES)
        for (int n = 0; n < TILE / 2; n += LANES) {
            Bits square[LANES];
            for (int i = 0; i < LANES; i++) square[i] = (Bits)load(pairs + (m + i) * TILE / 2 + n);
            transpose_square(square);
            for (int i = 0; i < LANES; i++)
                store((Lanes)square[i], (float *)to + (n + i) * TILE + m);
        }
}

// --- whole matrices -------------------------------------------------------------------------------

// Call a function with the first row and column of every tile.
template <class Use>
static inline void for_tiles(int64_t n_rows, int64_t n_columns, Use use) {
    for (int64_t n = 0; n < n_columns; n += TILE)
        for (int64_t m = 0; m < n_rows; m += TILE) use(m, n);
}

// A matrix (n_rows, n_columns) as a second operand.
template <class From, class Number>
static void pair(Panels<From> matrix, int64_t n_rows, int64_t n_columns, Panels<Number> to) {
    for_tiles(n_rows, n_columns,
              [&](int64_t m, int64_t n) { pair_tile(matrix.at(m, n), to.at(m, n)); });
}

// The transpose (n_columns, n_rows) of a matrix (n_rows, n_columns).
template <class Number>
static void transpose(Panels<Number> matrix, int64_t n_rows, int64_t n_columns, Panels<Number> to) {
    for_tiles(n_rows, n_columns,
              [&](int64_t m, int64_t n) { transpose_tile(matrix.at(m, n), to.at(n, m)); });
}

// The transpose of a matrix (n_rows, n_columns) as a second operand.
template <class Number>
static void transpose_and_pair(Panels<Number> matrix, int64_t n_rows, int64_t n_columns,
                               Panels<Number> to) {
    for_tiles(n_rows, n_columns,
              [&](int64_t m, int64_t n) { transpose_and_pair_tile(matrix.at(m, n), to.at(n, m)); });
}

// --- kernels --------------------------------------------------------------------------------------

// ROWS x VECTORS registers of sums: rows of A times columns of a panel of B.
//   a        rows of a panel, and those of the next panel `a_panel` numbers further
//   b        the panel, paired if bfloat16
//   to       rows of a tile; with `add`, the product is added to what is there
template <int ROWS, int VECTORS>
static inline void load_sums(Lanes sums[ROWS][VECTORS], const float *to, bool add) {
    for (int m = 0; m < ROWS; m++)
        for (int v = 0; v < VECTORS; v++)
            sums[m][v] = add ? load(to + m * TILE + v * LANES) : Lanes{};
}

template <int ROWS, int VECTORS>
static inline void store_sums(const Lanes sums[ROWS][VECTORS], float *to) {
    for (int m = 0; m < ROWS; m++)
        for (int v = 0; v < VECTORS; v++) store(sums[m][v], to + m * TILE + v * LANES);
}

template <int ROWS, int VECTORS>
static inline void multiply_block(const float *a, int64_t a_panel, const float *b, int64_t size,
                                  float *to, bool add) {
    Lanes sums[ROWS][VECTORS];
    load_sums<ROWS, VECTORS>(sums, to, add);
    for (int64_t first = 0; first < size; first += TILE, a += a_panel)
        for (int k = 0; k < TILE; k++, b += TILE) {
            Lanes columns[VECTORS];
            for (int v = 0; v < VECTORS; v++) columns[v] = load(b + v * LANES);
            for (int m = 0; m < ROWS; m++)
                for (int v = 0; v < VECTORS; v++) sums[m][v] += a[m * TILE + k] * columns[v];
        }
    store_sums<ROWS, VECTORS>(sums, to);
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
static inline void multiply_block(const bfloat16 *a, int64_t a_panel, const bfloat16 *b,
                                  int64_t size, float *to, bool add) {
    Lanes sums[ROWS][VECTORS];
    load_sums<ROWS, VECTORS>(sums, to, add);
    for (int64_t first = 0; first < size; first += TILE, a += a_panel)
        for (int k = 0; k < TILE; k += 2, b += 2 * TILE) {
            Bits columns[VECTORS];
            for (int v = 0; v < VECTORS; v++) columns[v] = *(const Bits *)(b + v * 2 * LANES);
            for (int m = 0; m < ROWS; m++) {
                uint32_t pair;
                memcpy(&pair, a + m * TILE + k, sizeof pair);
                for (int v = 0; v < VECTORS; v++)
                    sums[m][v] = add_pairs(sums[m][v], pair, columns[v]);
            }
        }
    store_sums<ROWS, VECTORS>(sums, to);
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

static inline void multiply_tile_amx(const bfloat16 *a, int64_t a_panel, const bfloat16 *b,
                                     int64_t size, float *to, bool add) {
    constexpr int A_ROW = TILE * sizeof(bfloat16), B_ROW = 2 * A_ROW, TO_ROW = TILE * sizeof(float);
    float *lower = to + TILE_SIZE / 2;
    if (add) {
        _tile_loadd(0, to, TO_ROW);
        _tile_loadd(1, to + 16, TO_ROW);
        _tile_loadd(2, lower, TO_ROW);
        _tile_loadd(3, lower + 16, TO_ROW);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int64_t k = 0; k < size; k += TILE, a += a_panel, b += TILE_SIZE) {
        _tile_loadd(4, a, A_ROW);
        _tile_loadd(6, b, B_ROW);
        _tile_loadd(7, b + TILE, B_ROW);
        _tile_loadd(5, a + TILE_SIZE / 2, A_ROW);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, to, TO_ROW);
    _tile_stored(1, to + 16, TO_ROW);
    _tile_stored(2, lower, TO_ROW);
    _tile_stored(3, lower + 16, TO_ROW);
}
#else
static inline void configure_tiles() {}
static inline bool request_amx() { return false; }
#endif

// A tile of the product: 32 rows of A times a panel of B, `size` products each.
template <class Number>
static inline void multiply_tile(bool amx, const Number *a, int64_t a_panel, const Number *b,
                                 int64_t size, float *to, bool add) {
#if HAVE_AMX
    if constexpr (sizeof(Number) == 2)
        if (amx) return multiply_tile_amx(a, a_panel, b, size, to, add);
#endif
    constexpr int ROWS = REGISTERS == 32 ? 8 : 4, VECTORS = LANES == 4 && REGISTERS == 32 ? 4 : 2;
    for (int m = 0; m < TILE; m += ROWS)
        for (int n = 0; n < TILE; n += VECTORS * LANES)
            multiply_block<ROWS, VECTORS>(a + m * TILE, a_panel,
                                          b + n * (sizeof(Number) == 2 ? 2 : 1), size,
                                          to + m * TILE + n, add);
}

// The product of A (n_rows, size) and B (size, n_columns), in `to`; with `add`, added to it.
template <class Number>
static inline void multiply(bool amx, Panels<Number> a, Panels<Number> b, int64_t n_rows,
                            int64_t n_columns, int64_t size, Panels<float> to, bool add = false) {
    for_tiles(n_rows, n_columns, [&](int64_t m, int64_t n) {
        multiply_tile(amx, a.at(m, 0), a.rows * TILE, b.at(0, n), size, to.at(m, n), add);
    });
}

// The same, but a function takes the product while it is in the first cache: `use` is called with a
// tile's first row and column, and the tile (32, 32).
template <class Number, class Use>
static inline void multiply_and_use(bool amx, Panels<Number> a, Panels<Number> b, int64_t n_rows,
                                    int64_t n_columns, int64_t size, Use use) {
    alignas(64) float tile[TILE_SIZE];
    for_tiles(n_rows, n_columns, [&](int64_t m, int64_t n) {
        multiply_tile(amx, a.at(m, 0), a.rows * TILE, b.at(0, n), size, tile, false);
        use(m, n, tile);
    });
}
