// B tokens through the whole model in one call: a token for each of some sequences, or all tokens of
// their prompts.
//
// A small model's step is a hundred operations of a few microseconds, and calling them one by one
// takes longer than their arithmetic. Here all threads go through the step side by side and wait
// for each other six times a layer.
//
// A matrix lies in panels of LANES rows, the rows of a panel side by side: its product with a
// vector then needs no sum across lanes, and every output is summed up in the same order whoever
// shares the batch.
//
// Letters as in `decoder.py`: C channels, H heads, K key-value heads, D channels of a head, M hidden
// units, V vocabulary, S positions of the cache, N its slots. Vectors are GNU C's, known to GCC and
// Clang on every processor.

#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#else  // one thread
static int omp_get_thread_num() { return 0; }
static int omp_get_num_threads() { return 1; }
#endif

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int BESIDE = 2;  // panels whose sums for 8 tokens fit into registers
#else
constexpr int BESIDE = 1;
#endif
typedef float Lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float))));

struct Layer {
    const float *norm_C, *qkv, *q_norm_D, *k_norm_D, *out, *mlp_norm_C, *gate, *up, *down;
};

struct Model {
    int32_t n_layer, C, H, K, D, M, V, S, N;
    float eps;
    const float *embed_VC, *norm_C, *head, *cos_SD, *sin_SD;
    const Layer *layers;
};

// What the threads of a step share: B rows of each.
struct Work {
    float *x_BC, *qkv_BP, *y_BP, *h_BM;
};

static inline float exponential(float x) {  // of x <= 0 or so; error 2e-7
    x = (x > -87.0f ? x : -87.0f) * 1.44269504f;
    float whole = floorf(x), part = (x - whole) * 0.693147181f;
    float sum = 1 + part * (1 + part * (0.5f + part * (0.166666667f + part * (0.0416666667f +
                part * (0.00833333333f + part * (0.00138888889f + part * 0.000198412698f))))));
    int32_t bits = (int32_t(whole) + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return sum * power;
}

template <int N>
struct Vector {
    typedef float Type __attribute__((vector_size(N * sizeof(float)), aligned(sizeof(float))));
};

// The sum of N lanes, by halves.
template <int N>
static inline float sum_of(typename Vector<N>::Type lanes) {
    if constexpr (N == 1) {
        return lanes[0];
    } else {
        typename Vector<N / 2>::Type low, high;
        memcpy(&low, &lanes, sizeof low);
        memcpy(&high, (const char *)&lanes + sizeof low, sizeof high);
        return sum_of<N / 2>(low + high);
    }
}

static inline float dot(const float *a, const float *b, int size) {
    Lanes sums = {};
    int i = 0;
    for (; i + LANES <= size; i += LANES) sums += *(const Lanes *)(a + i) * *(const Lanes *)(b + i);
    float sum = sum_of<LANES>(sums);
    for (; i < size; i++) sum += a[i] * b[i];
    return sum;
}

static void rms_norm(const float *x, const float *weight, float *y, int size, float eps) {
    float scale = 1 / sqrtf(dot(x, x, size) / size + eps);
    for (int i = 0; i < size; i++) y[i] = x[i] * scale * weight[i];
}

// Products of PANELS panels with SEQUENCES vectors of `size`, which lie `size` apart.
template <int PANELS, int SEQUENCES>
static inline void products(const float *panels, const float *x, int size, Lanes *sums) {
    for (int i = 0; i < PANELS * SEQUENCES; i++) sums[i] = Lanes{};
    for (int k = 0; k < size; k++)
        for (int p = 0; p < PANELS; p++) {
            Lanes w = *(const Lanes *)(panels + (p * size + k) * LANES);
            for (int s = 0; s < SEQUENCES; s++) sums[p * SEQUENCES + s] += w * x[s * size + k];
        }
}

// The rows from `first` on, as many as there are lanes in PANELS panels, for all vectors; `put` gets
// a row's number, a vector's, and their product.
template <int PANELS, int SEQUENCES, class Put>
static inline void tile(const float *panels, const float *x, int size, int first, int rows, int b,
                        Put put) {
    Lanes sums[PANELS * SEQUENCES];
    products<PANELS, SEQUENCES>(panels + int64_t(first) * size, x + int64_t(b) * size, size, sums);
    for (int p = 0; p < PANELS; p++, first += LANES)
        for (int s = 0; s < SEQUENCES; s++) {
            float sum[LANES];
            memcpy(sum, &sums[p * SEQUENCES + s], sizeof sum);
            if (first + LANES <= rows)  // a loop of known length becomes one instruction
                for (int lane = 0; lane < LANES; lane++) put(first + lane, b + s, sum[lane]);
            else
                for (int lane = 0; first + lane < rows; lane++) put(first + lane, b + s, sum[lane]);
        }
}

// This thread's share of a matrix of `rows` rows, for B vectors.
template <class Put>
static void linear(const float *panels, int rows, int size, const float *x, int B, int thread,
                   int threads, Put put) {
    int all = (rows + LANES - 1) / LANES;
    int from = int64_t(all) * thread / threads, to = int64_t(all) * (thread + 1) / threads;
    int eights = B / 8 * 8, fours = B / 4 * 4, p = from;
    for (; p + 4 <= to; p += 4) {  // four panels stay in the first cache while all vectors pass
        int row = p * LANES;
        for (int b = 0; b < eights; b += 8)
            for (int q = 0; q < 4; q += BESIDE)
                tile<BESIDE, 8>(panels, x, size, row + q * LANES, rows, b, put);
        for (int b = eights; b < fours; b += 4) {
            tile<2, 4>(panels, x, size, row, rows, b, put);
            tile<2, 4>(panels, x, size, row + 2 * LANES, rows, b, put);
        }
        for (int b = fours; b < B; b++) tile<4, 1>(panels, x, size, row, rows, b, put);
    }
    for (; p < to; p++) {
        for (int b = 0; b < eights; b += 8) tile<1, 8>(panels, x, size, p * LANES, rows, b, put);
        for (int b = eights; b < B; b++) tile<1, 1>(panels, x, size, p * LANES, rows, b, put);
    }
}

static void rotate(float *x, const float *cos_D, const float *sin_D, int D) {
    for (int d = 0; d < D / 2; d++) {
        float first = x[d], second = x[d + D / 2];
        x[d] = first * cos_D[d] - second * sin_D[d];
        x[d + D / 2] = second * cos_D[d + D / 2] + first * sin_D[d + D / 2];
    }
}

// The key and the value of one token's head go into the cache. `qkv` has the token's heads of queries,
// of keys and of values.
static void remember(const Model &m, const Layer &layer, const float *qkv, float *k_D, float *v_D,
                     int head, int64_t position) {
    rms_norm(qkv + (m.H + head) * m.D, layer.k_norm_D, k_D, m.D, m.eps);
    rotate(k_D, m.cos_SD + position * m.D, m.sin_SD + position * m.D, m.D);
    memcpy(v_D, qkv + (m.H + m.K + head) * m.D, m.D * sizeof(float));
}

// Each score becomes its power of e, the largest 1; returns their sum. `scores` is filled up to a
// multiple of LANES.
static float powers(float *scores, int64_t size) {
    int64_t end = (size + LANES - 1) / LANES * LANES;
    for (int64_t s = size; s < end; s++) scores[s] = -INFINITY;
    Lanes mosts = *(const Lanes *)scores, sums = {};
    for (int64_t s = LANES; s < end; s += LANES) {
        Lanes others = *(const Lanes *)(scores + s);
        mosts = others > mosts ? others : mosts;
    }
    float most = mosts[0];
    for (int lane = 1; lane < LANES; lane++) most = mosts[lane] > most ? mosts[lane] : most;
    for (int64_t s = 0; s < end; s++) scores[s] = exponential(scores[s] - most);
    for (int64_t s = 0; s < end; s += LANES) sums += *(const Lanes *)(scores + s);
    return sum_of<LANES>(sums);
}

// From `d` on BLOCKS vectors of the mean of the values: several sums at a time, for each waits for its
// last addition.
template <int BLOCKS>
static inline void means(const float *powers, float sum, const float *v_SD, int64_t position, int D,
                         int d, float *y) {
    Lanes sums[BLOCKS] = {};
    for (int64_t s = 0; s <= position; s++)
        for (int i = 0; i < BLOCKS; i++)
            sums[i] += powers[s] * *(const Lanes *)(v_SD + s * D + d + i * LANES);
    for (int i = 0; i < BLOCKS; i++) *(Lanes *)(y + d + i * LANES) = sums[i] / sum;
}

// One head of one token's queries looks at all positions up to its own. `scores` has room for S
// numbers and a vector.
static void attend(const Model &m, const Layer &layer, float *q, float *y, const float *k_SD,
                   const float *v_SD, int64_t position, float *scores) {
    int D = m.D, d = 0;
    float scale = 1 / sqrtf(D);
    rms_norm(q, layer.q_norm_D, q, D, m.eps);
    rotate(q, m.cos_SD + position * D, m.sin_SD + position * D, D);
    for (int64_t s = 0; s <= position; s++) scores[s] = dot(q, k_SD + s * D, D) * scale;
    float sum = powers(scores, position + 1);
    for (; d + 4 * LANES <= D; d += 4 * LANES) means<4>(scores, sum, v_SD, position, D, d, y);
    for (; d + 2 * LANES <= D; d += 2 * LANES) means<2>(scores, sum, v_SD, position, D, d, y);
    for (; d + LANES <= D; d += LANES) means<1>(scores, sum, v_SD, position, D, d, y);
    for (; d < D; d++) {
        float mean = 0;
        for (int64_t s = 0; s <= position; s++) mean += scores[s] * v_SD[s * D + d];
        y[d] = mean / sum;
    }
}

// What one thread does of a step. `own` is its own room: B rows of C, or S numbers and a vector.
static void share(const Model &m, const Work &w, float *k_LNKSD, float *v_LNKSD, int B,
                  const int64_t *slots, const int64_t *ids, const int64_t *positions,
                  float *logits_BV, float *own, int thread, int threads) {
    int64_t C = m.C, P = (m.H + 2 * m.K) * m.D, Q = m.H * m.D, M = m.M;
    auto wait = [] {
#pragma omp barrier
    };
    auto normed = [&](const float *weight) {  // by every thread for itself: cheaper than waiting
        for (int b = 0; b < B; b++) rms_norm(w.x_BC + b * C, weight, own + b * C, C, m.eps);
    };
    for (int b = thread; b < B; b += threads)
        memcpy(w.x_BC + b * C, m.embed_VC + ids[b] * C, C * sizeof(float));
    wait();
    for (int l = 0; l < m.n_layer; l++) {
        const Layer &layer = m.layers[l];
        normed(layer.norm_C);
        linear(layer.qkv, P, C, own, B, thread, threads,
               [&](int row, int b, float value) { w.qkv_BP[b * P + row] = value; });
        wait();
        auto place = [&](int b, int head) {  // of its keys and values
            return ((int64_t(l) * m.N + slots[b]) * m.K + head) * m.S * m.D;
        };
        for (int task = thread; task < B * m.K; task += threads) {
            int b = task / m.K, head = task % m.K;
            int64_t at = place(b, head) + positions[b] * m.D;
            remember(m, layer, w.qkv_BP + b * P, k_LNKSD + at, v_LNKSD + at, head, positions[b]);
        }
        wait();  // a token may look at another one of this call
        for (int task = thread; task < B * m.H; task += threads) {
            int b = task / m.H, head = task % m.H;
            int64_t at = place(b, head / (m.H / m.K));
            attend(m, layer, w.qkv_BP + b * P + head * m.D, w.y_BP + b * Q + head * m.D, k_LNKSD + at,
                   v_LNKSD + at, positions[b], own);
        }
        wait();
        linear(layer.out, C, Q, w.y_BP, B, thread, threads,
               [&](int row, int b, float value) { w.x_BC[b * C + row] += value; });
        wait();
        normed(layer.mlp_norm_C);
        linear(layer.gate, M, C, own, B, thread, threads, [&](int row, int b, float value) {
            float size = exponential(-fabsf(value));  // the sigmoid without overflow
            w.h_BM[b * M + row] = value * (value > 0 ? 1 : size) / (1 + size);
        });
        linear(layer.up, M, C, own, B, thread, threads,
               [&](int row, int b, float value) { w.h_BM[b * M + row] *= value; });
        wait();
        linear(layer.down, C, M, w.h_BM, B, thread, threads,
               [&](int row, int b, float value) { w.x_BC[b * C + row] += value; });
        wait();
    }
    if (!logits_BV) return;  // only the cache was wanted
    normed(m.norm_C);
    linear(m.head, m.V, C, own, B, thread, threads,
           [&](int row, int b, float value) { logits_BV[int64_t(b) * m.V + row] = value; });
}

extern "C" int lanes() { return LANES; }

// `room` holds what the threads share, then `own_size` floats for each of them. No `logits_BV`: only
// keys and values are wanted.
extern "C" void step(const Model *m, float *k_LNKSD, float *v_LNKSD, int32_t B, const int64_t *slots,
                     const int64_t *ids, const int64_t *positions, float *logits_BV, float *room,
                     int64_t own_size, int32_t threads) {
    int64_t P = (m->H + 2 * m->K) * m->D, Q = m->H * m->D;
    Work w = {room, room + B * m->C, room + B * (m->C + P), room + B * (m->C + P + Q)};
    float *own = w.h_BM + B * m->M;
#pragma omp parallel num_threads(threads)
    {
        int thread = omp_get_thread_num();
        share(*m, w, k_LNKSD, v_LNKSD, B, slots, ids, positions, logits_BV, own + thread * own_size,
              thread, omp_get_num_threads());
    }
}
