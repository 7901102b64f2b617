// Vectors of floats on any processor, and the few functions of them that all kernels need.
//
// The vector types are GNU C's, which GCC and Clang know on every processor. LANES is the number of
// floats of one register.

#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int REGISTERS = 32;
#else
constexpr int REGISTERS = 16;
#endif
typedef float Lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float))));

template <int N>
struct Vector {
    typedef float Type __attribute__((vector_size(N * sizeof(float)), aligned(sizeof(float))));
};

// The sum of N lanes: halves are added until one lane is left.
template <int N>
static inline float sum_lanes(typename Vector<N>::Type lanes) {
    if constexpr (N == 1) {
        return lanes[0];
    } else {
        typename Vector<N / 2>::Type low, high;
        memcpy(&low, &lanes, sizeof low);
        memcpy(&high, (const char *)&lanes + sizeof low, sizeof high);
        return sum_lanes<N / 2>(low + high);
    }
}

// The dot product of a and b, both (size).
static inline float dot(const float *a, const float *b, int64_t size) {
    Lanes sums = {};
    int64_t i = 0;
    for (; i + LANES <= size; i += LANES) sums += *(const Lanes *)(a + i) * *(const Lanes *)(b + i);
    float sum = sum_lanes<LANES>(sums);
    for (; i < size; i++) sum += a[i] * b[i];
    return sum;
}

// The upper half of a float32: what products of bfloat16 multiply.
struct bfloat16 {
    uint16_t bits;
};

typedef uint32_t Bits __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float))));
typedef uint16_t HalfBits __attribute__((vector_size(LANES * 2), aligned(2)));

static inline Lanes broadcast(float x) { return Lanes{} + x; }
static inline Lanes larger(Lanes a, Lanes b) { return a > b ? a : b; }
static inline Lanes smaller(Lanes a, Lanes b) { return a < b ? a : b; }

static inline float largest_lane(Lanes lanes) {
    float largest = lanes[0];
    for (int i = 1; i < LANES; i++) largest = lanes[i] > largest ? lanes[i] : largest;
    return largest;
}

static inline Lanes load(const float *x) { return *(const Lanes *)x; }

static inline Lanes load(const bfloat16 *x) {
    return (Lanes)(__builtin_convertvector(*(const HalfBits *)x, Bits) << 16);
}

// x rounded to the nearest bfloat16 (ties to even), in the upper halves. NaN stays NaN.
static inline Bits rounded_bits(Lanes x) {
    Bits bits = (Bits)x, rounded = bits + 0x7fff + (bits >> 16 & 1);
    return x == x ? rounded : bits | 0x400000;
}

static inline void store(Lanes x, float *to) { *(Lanes *)to = x; }

static inline void store(Lanes x, bfloat16 *to) {
#if defined(__AVX512BF16__)
    __m256bh halves = _mm512_cvtneps_pbh((__m512)x);
    memcpy((void *)to, &halves, sizeof halves);
#else
    *(HalfBits *)to = __builtin_convertvector(rounded_bits(x) >> 16, HalfBits);
#endif
}

// Pairs of bfloat16, `low` in the lower halves.
static inline Bits round_pairs(Lanes low, Lanes high) {
    return rounded_bits(low) >> 16 | (rounded_bits(high) & 0xffff0000);
}

// e^x for x below 88, with a relative error of 4e-7 for x > -10; zero for x < -87,
// where it would not be a normal float. 2^n * e^r, where n is x / ln 2 rounded and e^r a Taylor
// series of degree 6.
static inline Lanes exponential(Lanes x) {
    constexpr float ROUNDING = 12582912;  // 1.5 * 2^23: a float32 of this size has no fraction
    Bits counts = (Bits)(x >= -87.0f);
    x = x * 1.44269504f;
    Lanes shifted = x + ROUNDING, n = shifted - ROUNDING, r = (x - n) * 0.693147181f;
    Lanes series = 1 + r * (1 + r * (0.5f + r * (0.166666667f + r * (0.0416666667f +
                   r * (0.00833333333f + r * 0.00138888889f)))));
    return (Lanes)(((Bits)series + ((Bits)shifted << 23)) & counts);  // adds n to the exponent
}

// The same for one number, which compilers can vectorize in a loop.
static inline float exponential(float x) {
    constexpr float ROUNDING = 12582912;
    float scaled = x * 1.44269504f, shifted = scaled + ROUNDING, n = shifted - ROUNDING;
    float r = (scaled - n) * 0.693147181f;
    float series = 1 + r * (1 + r * (0.5f + r * (0.166666667f + r * (0.0416666667f +
                   r * (0.00833333333f + r * 0.00138888889f)))));
    uint32_t bits, power;
    memcpy(&bits, &series, sizeof bits);
    memcpy(&power, &shifted, sizeof power);
    bits += power << 23;
    float value;
    memcpy(&value, &bits, sizeof value);
    return x >= -87.0f ? value : 0.0f;
}

// What a softmax divides by: the largest number, and the sum of the numerators.
struct Softmax {
    float largest, sum;
};

// The numerators of a softmax, exp(x - the largest of x), in `to`, which may be x.
//   x, to  `size` numbers, a multiple of LANES: pointers, or rows of matrices in panels
template <class From, class To>
static inline Softmax exponentiate(From x, To to, int64_t size) {
    Lanes largest_lanes = load(x + 0), sums = {};
    for (int64_t i = LANES; i < size; i += LANES)
        largest_lanes = larger(largest_lanes, load(x + i));
    float largest = largest_lane(largest_lanes);
    for (int64_t i = 0; i < size; i += LANES) {
        Lanes numerator = exponential(load(x + i) - largest);
        sums += numerator;
        store(numerator, to + i);
    }
    return {largest, sum_lanes<LANES>(sums)};
}

// 1 / x. AVX-512 estimates it to 14 bits, which one step of Newton's method doubles; that takes a
// third of the time of a division.
static inline Lanes reciprocal(Lanes x) {
#if defined(__AVX512F__)
    Lanes estimate = (Lanes)_mm512_rcp14_ps((__m512)x);
    return estimate * (2 - x * estimate);
#else
    return 1 / x;
#endif
}

// 1 / (1 + e^-x).
static inline Lanes sigmoid(Lanes x) {
    return reciprocal(1 + exponential(smaller(-x, broadcast(80))));  // e^80 does not overflow
}

// Transpose a square of LANES x LANES words: in each of log2(LANES) rounds, row i is interleaved with
// row i + LANES / 2.
static inline void transpose_square(Bits *rows) {
    Bits other[LANES];
    for (int round = 1; round < LANES; round *= 2) {
        for (int i = 0; i < LANES / 2; i++) {
            Bits a = rows[i], b = rows[i + LANES / 2];
#if defined(__AVX512F__)
            constexpr int N = LANES;
            other[2 * i] = (Bits)__builtin_shufflevector(a, b, 0, N, 1, N + 1, 2, N + 2, 3, N + 3, 4,
                N + 4, 5, N + 5, 6, N + 6, 7, N + 7);
            other[2 * i + 1] = (Bits)__builtin_shufflevector(a, b, 8, N + 8, 9, N + 9, 10, N + 10, 11,
                N + 11, 12, N + 12, 13, N + 13, 14, N + 14, 15, N + 15);
#else
            for (int j = 0; j < LANES / 2; j++) {
                other[2 * i][2 * j] = a[j];
                other[2 * i][2 * j + 1] = b[j];
                other[2 * i + 1][2 * j] = a[LANES / 2 + j];
                other[2 * i + 1][2 * j + 1] = b[LANES / 2 + j];
            }
#endif
        }
        memcpy(rows, other, sizeof other);
    }
}
