// The decoder in one call: B tokens through the whole model, on the CPU.
//
// The B tokens are one new token of each of B sequences (decode), or all tokens of some prompts
// (prefill). For a small model PyTorch spends more time calling its hundred operations of a few
// microseconds than on their arithmetic. Here all threads run the whole model side by side and meet
// at six barriers per layer.
//
// Sizes, as in inference/decoder.py:
//
//     C  channels                 B  tokens of this call
//     H  query heads              N  slots of the cache, one for each sequence
//     K  key-value heads          S  positions of a slot
//     D  channels of a head       V  vocabulary
//     M  hidden units             P = (H + 2K) * D, queries, keys and values of a token
//                                 Q = H * D, the queries alone
//
// All numbers are float32; arrays are contiguous, with the last letter of their name varying
// fastest: x_BC[b * C + c]. The buffers, all allocated by the caller (kernels/decode.py):
//
//     weights   norms as vectors, matrices as panels (below)                   read
//     cos_SD, sin_SD   rotary tables, (S, D)                                   read
//     slots, ids, positions   of each token, (B) int64: its cache slot,
//               its token id, its position in the sequence                     read
//     k_LNKSD, v_LNKSD   the cache, (n_layer, N, K, S, D): the tokens' keys
//               and values are added                                           read, written
//     logits_BV   (B, V), or null if only the cache is wanted                  written
//     scratch   activations of this call: struct Activations, then
//               thread_floats() for each thread                                written
//
// Panels: a matrix of R rows and `size` columns is stored as ceil(R / LANES) panels of LANES rows,
// each transposed to (size, LANES), so that a vector register holds one column of the panel. The
// last panel is padded with zeros. A product with a vector x adds column k times x[k], for all k in
// order, and needs no sum across lanes. Every output adds the same terms in the same order,
// whatever the batch and the number of threads: results are equal to the last bit.

#include "vector.h"

#ifdef _OPENMP
#include <omp.h>
#else  // without OpenMP there is one thread, and the barriers vanish
static int omp_get_thread_num() { return 0; }
static int omp_get_num_threads() { return 1; }
#endif

// Panels whose sums for 8 tokens fit into the vector registers.
constexpr int PANELS_OF_8 = REGISTERS == 32 ? 2 : 1;

// The weights of a layer. Mirrors LayerStruct in kernels/decode.py: same fields, same order.
struct Layer {
    const float *norm_C;      // RMSNorm before attention
    const float *qkv;         // panels of (P, C); rows: H query heads, K key heads, K value heads
    const float *q_norm_D;    // RMSNorm of each query head
    const float *k_norm_D;    // RMSNorm of each key head
    const float *out;         // panels of (C, Q)
    const float *mlp_norm_C;  // RMSNorm before the MLP
    const float *gate, *up;   // panels of (M, C)
    const float *down;        // panels of (C, M)
};

// The model. Mirrors ModelStruct in kernels/decode.py: same fields, same order.
struct Model {
    int32_t n_layer, C, H, K, D, M, V, S, N;
    float eps;             // of every RMSNorm
    const float *embed_VC;
    const float *norm_C;   // RMSNorm before the output head
    const float *head;     // panels of (V, C)
    const float *cos_SD, *sin_SD;
    const Layer *layers;   // n_layer of them
};

// The activations that all threads of a call share.
struct Activations {
    float *x_BC;    // the residual stream
    float *qkv_BP;  // queries, keys and values
    float *y_BQ;    // the output of attention
    float *h_BM;    // the hidden units of the MLP
};

// RMSNorm (arXiv 1910.07467): y = x / rms(x) * weight, all (size). y may be x.
static void rms_norm(const float *x, const float *weight, float *y, int size, float eps) {
    float scale = 1 / sqrtf(dot(x, x, size) / size + eps);
    for (int i = 0; i < size; i++) y[i] = x[i] * scale * weight[i];
}

// The innermost loop of every matrix product: PANELS panels times TOKENS vectors.
//   panels  PANELS consecutive panels, each (size, LANES)
//   x       (TOKENS, size)
//   sums    (PANELS, TOKENS) vectors of LANES outputs, written; they stay in registers
template <int PANELS, int TOKENS>
static inline void multiply_panels(const float *panels, const float *x, int size, Lanes *sums) {
    for (int i = 0; i < PANELS * TOKENS; i++) sums[i] = Lanes{};
    for (int k = 0; k < size; k++)
        for (int p = 0; p < PANELS; p++) {
            Lanes w = *(const Lanes *)(panels + (p * size + k) * LANES);
            for (int t = 0; t < TOKENS; t++) sums[p * TOKENS + t] += w * x[t * size + k];
        }
}

// A tile of the product: PANELS * LANES outputs of TOKENS tokens.
//   panels     the whole matrix, in panels
//   x          (B, size)
//   first_row  the tile's first row, a multiple of LANES
//   rows       rows of the matrix, without the padding of the last panel
//   b          the tile's first token
//   store      called with a row, a token and their product
template <int PANELS, int TOKENS, class Store>
static inline void multiply_tile(const float *panels, const float *x, int size, int first_row,
                                 int rows, int b, Store store) {
    Lanes sums[PANELS * TOKENS];
    multiply_panels<PANELS, TOKENS>(panels + int64_t(first_row) * size, x + int64_t(b) * size, size,
                                    sums);
    for (int p = 0; p < PANELS; p++, first_row += LANES)
        for (int t = 0; t < TOKENS; t++) {
            float sum[LANES];
            memcpy(sum, &sums[p * TOKENS + t], sizeof sum);
            if (first_row + LANES <= rows)  // a loop of known length becomes one instruction
                for (int lane = 0; lane < LANES; lane++) store(first_row + lane, b + t, sum[lane]);
            else
                for (int lane = 0; first_row + lane < rows; lane++)
                    store(first_row + lane, b + t, sum[lane]);
        }
}

// One thread's part of a linear layer: its range of panels, for all tokens.
//   panels  the matrix (rows, size), in panels
//   x       (B, size)
//   store   called with a row, a token and their product, once for each pair
template <class Store>
static void linear(const float *panels, int rows, int size, const float *x, int B, int thread,
                   int n_threads, Store store) {
    int n_panels = (rows + LANES - 1) / LANES;
    int first = int64_t(n_panels) * thread / n_threads;
    int end = int64_t(n_panels) * (thread + 1) / n_threads;
    int eights = B / 8 * 8, fours = B / 4 * 4, p = first;
    for (; p + 4 <= end; p += 4) {  // four panels stay in the L1 cache while all tokens pass
        int row = p * LANES;
        for (int b = 0; b < eights; b += 8)
            for (int q = 0; q < 4; q += PANELS_OF_8)
                multiply_tile<PANELS_OF_8, 8>(panels, x, size, row + q * LANES, rows, b, store);
        for (int b = eights; b < fours; b += 4) {
            multiply_tile<2, 4>(panels, x, size, row, rows, b, store);
            multiply_tile<2, 4>(panels, x, size, row + 2 * LANES, rows, b, store);
        }
        for (int b = fours; b < B; b++) multiply_tile<4, 1>(panels, x, size, row, rows, b, store);
    }
    for (; p < end; p++) {
        int row = p * LANES;
        for (int b = 0; b < eights; b += 8)
            multiply_tile<1, 8>(panels, x, size, row, rows, b, store);
        for (int b = eights; b < B; b++) multiply_tile<1, 1>(panels, x, size, row, rows, b, store);
    }
}

// Rotary positions (RoPE, arXiv 2104.09864) of one head, in place: pairs (d, d + D/2) are rotated.
//   x             (D)
//   cos_D, sin_D  the tables' rows of the token's position
static void apply_rope(float *x, const float *cos_D, const float *sin_D, int D) {
    for (int d = 0; d < D / 2; d++) {
        float first = x[d], second = x[d + D / 2];
        x[d] = first * cos_D[d] - second * sin_D[d];
        x[d + D / 2] = second * cos_D[d + D / 2] + first * sin_D[d + D / 2];
    }
}

// Write one key-value head of one token into the cache: the normalized and rotated key (norm of
// keys: arXiv 2010.04245), and the value as it is.
//   qkv_P     the token's row of Activations.qkv_BP
//   k_D, v_D  the place of head `head` at `position` of the token's slot in the cache, written
static void write_kv(const Model &m, const Layer &layer, const float *qkv_P, float *k_D, float *v_D,
                     int head, int64_t position) {
    rms_norm(qkv_P + (m.H + head) * m.D, layer.k_norm_D, k_D, m.D, m.eps);
    apply_rope(k_D, m.cos_SD + position * m.D, m.sin_SD + position * m.D, m.D);
    memcpy(v_D, qkv_P + (m.H + m.K + head) * m.D, m.D * sizeof(float));
}

// The numerators of a softmax, in place: exp(score - largest score). Returns their sum.
//   scores  (size), with room up to a multiple of LANES; the padding becomes zero
static float exponentiate_scores(float *scores, int64_t size) {
    int64_t end = (size + LANES - 1) / LANES * LANES;
    for (int64_t s = size; s < end; s++) scores[s] = -INFINITY;
    return exponentiate(scores, scores, end).sum;
}

// BLOCKS vectors of one head's output, from channel d on: the mean of the values, weighted. Several
// sums at a time, since each addition waits for the one before it.
//   numerators  (position + 1), the softmax's, and `sum` their sum
//   v_SD        the head's cached values
//   y           (D), channels d to d + BLOCKS * LANES written
template <int BLOCKS>
static inline void average_values(const float *numerators, float sum, const float *v_SD,
                                  int64_t position, int D, int d, float *y) {
    Lanes sums[BLOCKS] = {};
    for (int64_t s = 0; s <= position; s++)
        for (int i = 0; i < BLOCKS; i++)
            sums[i] += numerators[s] * *(const Lanes *)(v_SD + s * D + d + i * LANES);
    for (int i = 0; i < BLOCKS; i++) *(Lanes *)(y + d + i * LANES) = sums[i] / sum;
}

// Attention of one query head of one token, to all positions up to its own:
// softmax(q k^T / sqrt(D)) v (arXiv 1706.03762), with a norm on the query (arXiv 2010.04245).
//   q           (D), the query; normalized and rotated in place
//   y           (D), written
//   k_SD, v_SD  the cached keys and values of the key-value head that the query head uses
//   scores      scratch for S + LANES floats
static void attend(const Model &m, const Layer &layer, float *q, float *y, const float *k_SD,
                   const float *v_SD, int64_t position, float *scores) {
    int D = m.D, d = 0;
    float scale = 1 / sqrtf(D);
    rms_norm(q, layer.q_norm_D, q, D, m.eps);
    apply_rope(q, m.cos_SD + position * D, m.sin_SD + position * D, D);
    for (int64_t s = 0; s <= position; s++) scores[s] = dot(q, k_SD + s * D, D) * scale;
    float sum = exponentiate_scores(scores, position + 1);
    for (; d + 4 * LANES <= D; d += 4 * LANES)
        average_values<4>(scores, sum, v_SD, position, D, d, y);
    for (; d + 2 * LANES <= D; d += 2 * LANES)
        average_values<2>(scores, sum, v_SD, position, D, d, y);
    for (; d + LANES <= D; d += LANES) average_values<1>(scores, sum, v_SD, position, D, d, y);
    for (; d < D; d++) {
        float weighted = 0;
        for (int64_t s = 0; s <= position; s++) weighted += scores[s] * v_SD[s * D + d];
        y[d] = weighted / sum;
    }
}

// One thread's part of the forward pass. Buffers as at the top of the file, and:
//   local  scratch of this thread alone, thread_floats(): normalized inputs (B, C), or the scores
//          of a query
static void forward_thread(const Model &m, const Activations &a, float *k_LNKSD, float *v_LNKSD,
                           int B, const int64_t *slots, const int64_t *ids,
                           const int64_t *positions, float *logits_BV, float *local, int thread,
                           int n_threads) {
    int64_t C = m.C, P = (m.H + 2 * m.K) * m.D, Q = m.H * m.D, M = m.M;
    auto barrier = [] {
#pragma omp barrier
    };
    // Every thread normalizes all tokens for itself, which takes less than another barrier.
    auto normalize = [&](const float *weight) {
        for (int b = 0; b < B; b++) rms_norm(a.x_BC + b * C, weight, local + b * C, C, m.eps);
    };

    // 1. Embed the tokens.
    for (int b = thread; b < B; b += n_threads)
        memcpy(a.x_BC + b * C, m.embed_VC + ids[b] * C, C * sizeof(float));
    barrier();

    for (int l = 0; l < m.n_layer; l++) {
        const Layer &layer = m.layers[l];

        // 2. Queries, keys and values: (B, C) -> (B, P).
        normalize(layer.norm_C);
        linear(layer.qkv, P, C, local, B, thread, n_threads,
               [&](int row, int b, float value) { a.qkv_BP[b * P + row] = value; });
        barrier();

        // 3. Keys and values into the cache, before any query reads them: the tokens of a prompt
        // attend to each other.
        auto cache_offset = [&](int b, int head) {  // of (S, D): layer l, the token's slot, a head
            return ((int64_t(l) * m.N + slots[b]) * m.K + head) * m.S * m.D;
        };
        for (int task = thread; task < B * m.K; task += n_threads) {
            int b = task / m.K, head = task % m.K;
            int64_t at = cache_offset(b, head) + positions[b] * m.D;
            write_kv(m, layer, a.qkv_BP + b * P, k_LNKSD + at, v_LNKSD + at, head, positions[b]);
        }
        barrier();

        // 4. Attention, H / K query heads to each key-value head (GQA, arXiv 2305.13245): (B, P) ->
        // (B, Q).
        for (int task = thread; task < B * m.H; task += n_threads) {
            int b = task / m.H, head = task % m.H;
            int64_t at = cache_offset(b, head / (m.H / m.K));
            attend(m, layer, a.qkv_BP + b * P + head * m.D, a.y_BQ + b * Q + head * m.D,
                   k_LNKSD + at, v_LNKSD + at, positions[b], local);
        }
        barrier();

        // 5. The output projection, added to the residual stream: (B, Q) -> (B, C).
        linear(layer.out, C, Q, a.y_BQ, B, thread, n_threads,
               [&](int row, int b, float value) { a.x_BC[b * C + row] += value; });
        barrier();

        // 6. The MLP, SwiGLU (arXiv 2002.05202): silu(gate x) * (up x), (B, C) -> (B, M). A thread
        // has the same rows of both, so it waits for no other between them.
        normalize(layer.mlp_norm_C);
        linear(layer.gate, M, C, local, B, thread, n_threads, [&](int row, int b, float value) {
            float e = exponential(-fabsf(value));  // the sigmoid without overflow
            a.h_BM[b * M + row] = value * (value > 0 ? 1 : e) / (1 + e);
        });
        linear(layer.up, M, C, local, B, thread, n_threads,
               [&](int row, int b, float value) { a.h_BM[b * M + row] *= value; });
        barrier();

        // 7. Back to the residual stream: (B, M) -> (B, C).
        linear(layer.down, C, M, a.h_BM, B, thread, n_threads,
               [&](int row, int b, float value) { a.x_BC[b * C + row] += value; });
        barrier();
    }

    // 8. The logits: (B, C) -> (B, V).
    if (!logits_BV) return;
    normalize(m.norm_C);
    linear(m.head, m.V, C, local, B, thread, n_threads,
           [&](int row, int b, float value) { logits_BV[int64_t(b) * m.V + row] = value; });
}

// Floats of struct Activations.
static int64_t shared_floats(const Model &m, int64_t B) {
    return B * (m.C + (m.H + 2 * m.K) * m.D + m.H * m.D + m.M);
}

// Floats of each thread's own scratch: normalized inputs (B, C), or the scores of a query.
static int64_t thread_floats(const Model &m, int64_t B) {
    int64_t inputs = B * m.C, scores = m.S + LANES;
    return inputs > scores ? inputs : scores;
}

// The rows of a panel, which the caller needs to lay out the matrices.
extern "C" int32_t panel_rows() { return LANES; }

// The size of `scratch` that `forward` needs, in floats. Only this file knows its layout.
extern "C" int64_t scratch_floats(const Model *m, int32_t B, int32_t n_threads) {
    return shared_floats(*m, B) + n_threads * thread_floats(*m, B);
}

// The forward pass of B tokens. Buffers as at the top of the file.
extern "C" void forward(const Model *m, float *k_LNKSD, float *v_LNKSD, int32_t B,
                        const int64_t *slots, const int64_t *ids, const int64_t *positions,
                        float *logits_BV, float *scratch, int32_t n_threads) {
    int64_t P = (m->H + 2 * m->K) * m->D, Q = m->H * m->D;
    Activations a;
    a.x_BC = scratch;
    a.qkv_BP = a.x_BC + B * m->C;
    a.y_BQ = a.qkv_BP + B * P;
    a.h_BM = a.y_BQ + B * Q;
    float *local = scratch + shared_floats(*m, B);
    int64_t local_size = thread_floats(*m, B);
#pragma omp parallel num_threads(n_threads)
    {
        int thread = omp_get_thread_num();
        forward_thread(*m, a, k_LNKSD, v_LNKSD, B, slots, ids, positions, logits_BV,
                       local + thread * local_size, thread, omp_get_num_threads());
    }
}
