// The gradients of a training step in one call: forward, loss and backward on the CPU.
//
// PyTorch's step of a small model is a hundred calls, each of which reads from memory what the one
// before wrote. Here a thread takes some rows of the batch, a pass, through all layers and back; the
// activations of a pass fit its cache or nearly, the weights are packed once for all passes, and
// every product is used while it is in the first cache. Each thread sums gradients on its own;
// then all threads share the work of adding the sums up, in a fixed order. From the last layer's MLP
// on, only tokens with a target are computed: in finetuning that is about half of them.
//
// Sizes: B rows of the batch, T tokens of a row, C channels, H query heads, K key-value heads, D
// channels of a head, Q = H * D, P = (H + 2 K) * D, M hidden units, V vocabulary; N tokens of a
// pass. T, C, M, V and both halves of D are padded with zeros, so that all are multiples of 32 or 16;
// `true_` sizes are the model's.
//
// Matrices of activations are in panels (gemm.h): x_NC.at(n, c). They are float32 in the residual
// stream and in sums, and Number (float or bfloat16) where they go through products. PyTorch's tensors
// are row-major: embed_VC[v * C + c].
//
// The order of the passes is: pack | forward, loss, backward | reduce; at each bar all threads meet.

#include <algorithm>

#include "attention.h"
#include "linear.h"
#include "loss.h"
#include "ops.h"
#include "optimizer.h"
#include "pool.h"

// A layer's weights, or their gradients: PyTorch's tensors, (out, in) each. Mirrors LayerStruct in
// kernels/train.py: same fields, same order.
struct LayerTensors {
    float *norm_C, *q, *k, *v, *q_norm_D, *k_norm_D, *out, *mlp_norm_C, *gate, *up, *down;
};

// Mirrors ModelStruct in kernels/train.py: same fields, same order.
struct ModelTensors {
    float *embed_VC, *norm_C, *head_VC;
    const LayerTensors *layers;
};

// Mirrors ConfigStruct in kernels/train.py: same fields, same order.
struct Config {
    int32_t n_layer, C, H, K, D, M, V, T;
    int32_t max_rows;       // of a batch
    int32_t rows_per_pass;  // that a thread takes through the model at a time
    int32_t n_threads;
    float eps;  // of every RMSNorm
    const float *cos_SD, *sin_SD;  // rotary tables, of at least T positions
};

constexpr int64_t IGNORE_INDEX = -100;  // the target of tokens without one

// What the forward pass of a layer keeps for its backward pass.
template <class Number>
struct LayerActivations {
    Matrix<Number> x_NC;        // inputs of queries, keys and values: normalized
    Buffer<float> x_scale_N;    // 1 / rms of the residual stream there
    Matrix<Number> qk_N;        // (N, (H + K) D), normalized queries and keys, head after head
    Buffer<float> qk_scale_N;   // (N, H + K), 1 / rms of each
    Matrix<Number> v_N;         // (N, K D)
    Matrix<Number> y_NQ;        // the output of attention
    Buffer<float> log_sum_NH;   // of each softmax
    Matrix<Number> mlp_x_NC;    // inputs of the MLP: normalized
    Buffer<float> mlp_scale_N;  // 1 / rms of the residual stream there
    Matrix<Number> gate_up_N;   // (N, 2 M), 16 gate units and 16 up units in turns
    Matrix<Number> h_NM;        // hidden units
};

template <class Number>
class Trainer {
  public:
    Trainer(const Config &config, const ModelTensors &weights, const ModelTensors &gradients,
            bool use_amx);

    // The gradients of the mean loss over the targets of a batch, and that loss; with weights, of
    // the sum of each target's loss times its weight.
    //   x, y     (rows, T) token ids; y has IGNORE_INDEX where there is no target
    //   starts   (rows, T) the first token of each token's sequence, by its place in the row
    //   loss_weights  (rows, T) weights, or null
    // Returns false if an id is outside the vocabulary, or a start after its token or before that of
    // the token before.
    bool gradients_of(const int64_t *x, const int64_t *y, const int64_t *starts,
                      const float *loss_weights, int64_t rows, double *loss, double *squared_norm);

    // Update all weights from their gradients.
    void update(const Update &update);

    // The products of a step for so many rows, but attention's, and nothing else: the ceiling of
    // `firstwords bench train`.
    void multiply_only(int64_t rows);

  private:
    struct Layer {
        Linear<Number> qkv, out, gate_up, down;
        Buffer<float> norms;  // (2, D): of queries, of keys
    };

    // A thread's own memory.
    struct Worker {
        std::vector<LayerActivations<Number>> layers;
        Buffer<float> final_scale;   // (LOSS_TOKENS), 1 / rms of the inputs of the output head
        Matrix<float> x_NC;          // the residual stream
        std::vector<int64_t> starts;  // (N), the first token of each token's sequence, in its row
        // Tokens of the pass that have a target, the targets and their weights in the loss.
        std::vector<int64_t> tokens, targets;
        std::vector<float> target_weights;
        Matrix<float> x_last_NC, dx_last_NC;  // of those tokens: the residual stream, its gradient
        Matrix<float> qkv_TP;        // of a row: products, later their gradients
        Matrix<Number> q_TD, k_TD;   // one head's rotated queries and keys of a row
        Matrix<float> dq_TD, dk_TD, dv_TD;
        AttentionScratch<Number> attention;
        LossScratch<Number> loss;
        // Gradients of a row, that go back through a layer, and those of a pass, paired, for the
        // weights' gradients.
        Matrix<Number> dx_TC, dx_NC, dx_out_NC;
        Matrix<Number> dy_TQ;
        Matrix<Number> d_gate_up_T, d_gate_up_N;
        Matrix<Number> d_qkv_TP, d_qkv_NP;
        Matrix<float> d_normalized_TC;
        Buffer<Number> columns;      // (in, N), a layer's inputs transposed
        Buffer<float> d_head_norms;  // (n_layer, 2, D), gradients of the norms of queries and keys
        std::unique_ptr<UpdateScratch<Number>> update;
        double nats = 0;

        Worker(const Trainer &trainer);
    };

    const Config config;
    const ModelTensors weights, gradients;
    const bool amx;
    const int true_T, true_C, true_D, V;
    const int64_t T, C, D, M, Q, P, H, K, N;
    std::vector<Layer> layers;
    Linear<Number> head;
    std::vector<Linear<Number> *> linears;
    std::vector<std::unique_ptr<Worker>> workers;
    Buffer<float> cos_TD, sin_TD;  // (T, D / 2), rotary tables
    Matrix<float> dx_BTC;  // (B T, C), gradients of the residual stream, at last of the embeddings
    Pool pool;

    // The place of a channel of a head: each half of a head is padded on its own.
    int64_t channel(int64_t d) const { return d < true_D / 2 ? d : D / 2 + d - true_D / 2; }
    void prepare_layers();
    void pack(int thread);
    void run_passes(int thread, const int64_t *x, const int64_t *y, const int64_t *starts,
                    const float *loss_weights, int64_t rows, float factor);
    void copy_starts(Worker &w, const int64_t *starts, int64_t rows);
    void find_targets(Worker &w, const int64_t *y, const float *loss_weights, int64_t rows);
    void embed(Worker &w, const int64_t *x, int64_t rows);
    void forward_layer(Worker &w, int l, int64_t rows);
    void forward_attention(Worker &w, int l, int64_t t0);
    void attend_row(Worker &w, const Layer &layer, LayerActivations<Number> &a, int64_t t0);
    void forward_mlp(Worker &w, int l, int64_t t0, int64_t count, Panels<float> x);
    int64_t pack_targets(Worker &w);
    void head_and_loss(Worker &w, int thread, float factor);
    void backward_layer(Worker &w, int thread, int l, int64_t rows, Panels<float> dx_NC);
    void backward_mlp(Worker &w, int l, int64_t t0, int64_t count, Panels<float> dx);
    void unpack_gradients(Worker &w, int64_t rows, Panels<float> dx_NC);
    void backward_attention(Worker &w, int l, int64_t t0, Panels<float> dx);
    void attend_row_backward(Worker &w, int l, int64_t t0);
    void backward_into_residual(Worker &w, const Linear<Number> &linear, Panels<Number> d_T,
                                Panels<Number> normalized, const float *scale, int64_t count,
                                Panels<float> dx);
    void split_gradient(Worker &w, Panels<float> dx, int64_t count, Panels<Number> paired);
    void add_gradient(Worker &w, int thread, Linear<Number> &linear, Panels<Number> inputs,
                      Panels<Number> d_N, int64_t n_tokens);
    double reduce(int thread, const int64_t *x, int64_t rows);
    double reduce_embedding(int thread, const int64_t *x, int64_t rows);
    double reduce_head_norms();
    void rotated_head(const LayerActivations<Number> &a, const float *weight_D, int64_t t0,
                      int64_t head, float factor, Panels<Number> to) const;
};

template <class Number>
Trainer<Number>::Worker::Worker(const Trainer &t)
    : layers(t.config.n_layer), final_scale(LOSS_TOKENS), x_NC(t.N, t.C), starts(t.N),
      x_last_NC(t.N, t.C),
      dx_last_NC(t.N, t.C), qkv_TP(t.T, t.P),
      q_TD(t.T, t.D), k_TD(t.T, t.D), dq_TD(t.T, t.D), dk_TD(t.T, t.D), dv_TD(t.T, t.D),
      attention(t.T, t.D), loss(t.C, t.head.out), dx_TC(t.T, t.C), dx_NC(t.N, t.C),
      dx_out_NC(t.N, t.C), dy_TQ(t.T, t.Q), d_gate_up_T(t.T, 2 * t.M), d_gate_up_N(t.N, 2 * t.M),
      d_qkv_TP(t.T, t.P), d_qkv_NP(t.N, t.P), d_normalized_TC(t.T, t.C),
      columns(std::max({t.C, t.Q, t.M}) * t.N), d_head_norms(t.config.n_layer * 2 * t.D) {
    for (LayerActivations<Number> &a : layers) {
        a.x_NC = Matrix<Number>(t.N, t.C);
        a.x_scale_N = Buffer<float>(t.N);
        a.qk_N = Matrix<Number>(t.N, (t.H + t.K) * t.D);
        a.qk_scale_N = Buffer<float>(t.N * (t.H + t.K));
        a.v_N = Matrix<Number>(t.N, t.K * t.D);
        a.y_NQ = Matrix<Number>(t.N, t.Q);
        a.log_sum_NH = Buffer<float>(t.N * t.H);
        a.mlp_x_NC = Matrix<Number>(t.N, t.C);
        a.mlp_scale_N = Buffer<float>(t.N);
        a.gate_up_N = Matrix<Number>(t.N, 2 * t.M);
        a.h_NM = Matrix<Number>(t.N, t.M);
    }
}

template <class Number>
Trainer<Number>::Trainer(const Config &config, const ModelTensors &weights,
                         const ModelTensors &gradients, bool use_amx)
    : config(config), weights(weights), gradients(gradients), amx(use_amx), true_T(config.T),
      true_C(config.C), true_D(config.D), V(config.V), T(round_up(true_T)), C(round_up(true_C)),
      D(round_up(true_D / 2, HALF) * 2), M(round_up(config.M)), Q(config.H * D),
      P((config.H + 2 * config.K) * D),
      H(config.H), K(config.K), N(config.rows_per_pass * T),
      head(config.C, config.V, config.n_threads), cos_TD(T * D / 2), sin_TD(T * D / 2),
      dx_BTC(config.max_rows * T, C),
      pool(config.n_threads) {
    prepare_layers();
    for (int64_t t = 0; t < true_T; t++)
        for (int i = 0; i < true_D / 2; i++) {
            cos_TD[t * D / 2 + i] = config.cos_SD[t * true_D + i];
            sin_TD[t * D / 2 + i] = config.sin_SD[t * true_D + i];
        }
    for (int i = 0; i < config.n_threads; i++) workers.push_back(std::make_unique<Worker>(*this));
}

// --- weights --------------------------------------------------------------------------------------

template <class Number>
void Trainer<Number>::prepare_layers() {
    int n = config.n_threads;
    auto join_heads = [&](Linear<Number> &linear, float *weight, float *gradient, int first_head,
                          int count) {
        for (int h = 0; h < count; h++)
            for (int part = 0; part < 2; part++) {
                int64_t row = h * true_D + part * true_D / 2, first = (first_head + h) * D;
                linear.join(weight + row * true_C, gradient + row * true_C, true_C,
                            first + part * D / 2, true_D / 2);
            }
    };
    layers.reserve(config.n_layer);
    for (int l = 0; l < config.n_layer; l++) {
        const LayerTensors &w = weights.layers[l], &g = gradients.layers[l];
        layers.push_back({Linear<Number>(true_C, P, n), Linear<Number>(Q, true_C, n),
                          Linear<Number>(true_C, 2 * M, n), Linear<Number>(config.M, true_C, n),
                          Buffer<float>(2 * D)});
        Layer &layer = layers.back();
        // Queries, keys and values: head after head, each padded to D.
        join_heads(layer.qkv, w.q, g.q, 0, H);
        join_heads(layer.qkv, w.k, g.k, H, K);
        join_heads(layer.qkv, w.v, g.v, H + K, K);
        layer.qkv.map_columns(0, 0, true_C);
        layer.qkv.norm = w.norm_C;
        layer.qkv.norm_gradient = g.norm_C;
        // Attention's output.
        layer.out.join(w.out, g.out, H * true_D, 0, true_C);
        for (int part = 0; part < 2 * H; part++)
            layer.out.map_columns(part * D / 2, part * true_D / 2, true_D / 2);
        // Gate and up units, 16 of each in turns.
        for (int i = 0; i < config.M; i++) {
            int64_t at = i / HALF * TILE + i % HALF, row = int64_t(i) * true_C;
            layer.gate_up.join(w.gate + row, g.gate + row, true_C, at, 1);
            layer.gate_up.join(w.up + row, g.up + row, true_C, at + HALF, 1);
        }
        layer.gate_up.map_columns(0, 0, true_C);
        layer.gate_up.norm = w.mlp_norm_C;
        layer.gate_up.norm_gradient = g.mlp_norm_C;
        layer.down.join(w.down, g.down, config.M, 0, true_C);
        layer.down.map_columns(0, 0, config.M);
    }
    head.join(weights.head_VC, gradients.head_VC, true_C, 0, V);
    head.map_columns(0, 0, true_C);
    head.norm = weights.norm_C;
    head.norm_gradient = gradients.norm_C;
    for (Layer &layer : layers)
        linears.insert(linears.end(), {&layer.qkv, &layer.out, &layer.gate_up, &layer.down});
    linears.push_back(&head);
}

// Pack this thread's share of all weights.
template <class Number>
void Trainer<Number>::pack(int thread) {
    if (thread == 0)
        for (int l = 0; l < config.n_layer; l++)
            for (int d = 0; d < true_D; d++) {
                layers[l].norms[channel(d)] = weights.layers[l].q_norm_D[d];
                layers[l].norms[D + channel(d)] = weights.layers[l].k_norm_D[d];
            }
    int64_t task = 0;
    for (Linear<Number> *linear : linears) {
        linear->has_gradient[thread] = false;
        for (int64_t first = 0; first < linear->in; first += TILE)
            if (task++ % pool.n_threads == thread) linear->pack(first);
    }
}

// --- forward --------------------------------------------------------------------------------------

template <class Number>
void Trainer<Number>::find_targets(Worker &w, const int64_t *y, const float *loss_weights,
                                   int64_t rows) {
    w.tokens.clear(), w.targets.clear(), w.target_weights.clear();
    for (int64_t r = 0; r < rows; r++)
        for (int64_t t = 0; t < true_T; t++)
            if (int64_t target = y[r * true_T + t]; target != IGNORE_INDEX) {
                w.tokens.push_back(r * T + t);
                w.targets.push_back(target);
                w.target_weights.push_back(loss_weights ? loss_weights[r * true_T + t] : 1);
            }
}

template <class Number>
void Trainer<Number>::copy_starts(Worker &w, const int64_t *starts, int64_t rows) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t t = 0; t < T; t++)  // padding belongs to the last sequence
            w.starts[r * T + t] = starts[r * true_T + std::min<int64_t>(t, true_T - 1)];
}

template <class Number>
void Trainer<Number>::embed(Worker &w, const int64_t *x, int64_t rows) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t t = 0; t < true_T; t++) {
            const float *embedding = weights.embed_VC + x[r * true_T + t] * true_C;
            for (int64_t c = 0; c < true_C; c += TILE)
                memcpy(w.x_NC.at(r * T + t, c), embedding + c,
                       std::min<int64_t>(TILE, true_C - c) * sizeof(float));
        }
}

template <class Number>
void Trainer<Number>::forward_layer(Worker &w, int l, int64_t rows) {
    bool is_last = l == config.n_layer - 1;
    for (int64_t t0 = 0; t0 < rows * T; t0 += T) {
        forward_attention(w, l, t0);
        if (!is_last) forward_mlp(w, l, t0, T, w.x_NC.from(t0, 0));
    }
    if (!is_last) return;
    int64_t n_tokens = pack_targets(w);
    for (int64_t t0 = 0; t0 < n_tokens; t0 += T)
        forward_mlp(w, l, t0, std::min(T, n_tokens - t0), w.x_last_NC.from(t0, 0));
}

// Attention of the row that starts at token t0, back into the residual stream.
template <class Number>
void Trainer<Number>::forward_attention(Worker &w, int l, int64_t t0) {
    const Layer &layer = layers[l];
    LayerActivations<Number> &a = w.layers[l];
    Panels<float> x_TC = w.x_NC.from(t0, 0);
    for (int64_t t = 0; t < T; t++)
        a.x_scale_N[t0 + t] = normalize(x_TC.row(t), a.x_NC.row(t0 + t), true_C, C, config.eps);
    multiply<Number>(amx, a.x_NC.from(t0, 0), layer.qkv.forward, T, P, C, w.qkv_TP);
    attend_row(w, layer, a, t0);
    multiply<Number>(amx, a.y_NQ.from(t0, 0), layer.out.forward, T, C, Q, x_TC, true);
}

// The MLP of `count` tokens with activations from t0 on, back into the residual stream x (count, C).
template <class Number>
void Trainer<Number>::forward_mlp(Worker &w, int l, int64_t t0, int64_t count, Panels<float> x) {
    const Layer &layer = layers[l];
    LayerActivations<Number> &a = w.layers[l];
    for (int64_t t = 0; t < count; t++)
        a.mlp_scale_N[t0 + t] = normalize(x.row(t), a.mlp_x_NC.row(t0 + t), true_C, C, config.eps);
    multiply_and_use<Number>(amx, a.mlp_x_NC.from(t0, 0), layer.gate_up.forward, count, 2 * M, C,
                             [&](int64_t m, int64_t n, const float *tile) {
                                 swiglu(tile, a.gate_up_N.at(t0 + m, n),
                                        a.h_NM.at(t0 + m, n / 2));
                             });
    multiply<Number>(amx, a.h_NM.from(t0, 0), layer.down.forward, count, C, M, x, true);
}

// Put the residual stream of tokens with a target side by side. Returns how many there are, padded
// by zeros.
template <class Number>
int64_t Trainer<Number>::pack_targets(Worker &w) {
    int64_t count = w.tokens.size(), padded = round_up(count);
    for (int64_t c = 0; c < C; c += TILE) {
        for (int64_t i = 0; i < count; i++)
            memcpy(w.x_last_NC.at(i, c), w.x_NC.at(w.tokens[i], c), TILE * sizeof(float));
        memset(w.x_last_NC.at(count, c), 0, (padded - count) * TILE * sizeof(float));
    }
    return padded;
}

// One head's rotated queries or keys (T, D) of the row that starts at token t0.
template <class Number>
void Trainer<Number>::rotated_head(const LayerActivations<Number> &a, const float *weight_D,
                                   int64_t t0, int64_t head, float factor,
                                   Panels<Number> to) const {
    Panels<Number> normalized = a.qk_N.from(t0, head * D);
    for (int64_t t = 0; t < true_T; t++)
        rotate(normalized.row(t), weight_D, cos_TD + t * D / 2, sin_TD + t * D / 2, D, factor,
               to.row(t));
}

template <class Number>
void Trainer<Number>::attend_row(Worker &w, const Layer &layer, LayerActivations<Number> &a,
                                 int64_t t0) {
    float factor = 1 / sqrtf(true_D);
    for (int64_t i = 0; i < H + K; i++) {
        Panels<float> head = w.qkv_TP.from(0, i * D);
        Panels<Number> normalized = a.qk_N.from(t0, i * D);
        for (int64_t t = 0; t < T; t++)
            a.qk_scale_N[(t0 + t) * (H + K) + i] =
                normalize(head.row(t), normalized.row(t), true_D, D, config.eps);
    }
    for (int64_t d = 0; d < K * D; d += TILE)
        convert(w.qkv_TP.at(0, (H + K) * D + d), a.v_N.at(t0, d), T * TILE);
    for (int64_t k = 0; k < K; k++) {
        rotated_head(a, layer.norms + D, t0, H + k, 1, w.k_TD);
        transpose_and_pair<Number>(w.k_TD, T, D, w.attention.k_columns);
        pair<Number, Number>(a.v_N.from(t0, k * D), T, D, w.attention.v_rows);
        for (int64_t h = k * H / K; h < (k + 1) * H / K; h++) {
            rotated_head(a, layer.norms, t0, h, factor, w.q_TD);
            attend<Number>(amx, w.attention, w.starts.data() + t0, w.q_TD, T, D,
                           a.y_NQ.from(t0, h * D), a.log_sum_NH + t0 * H + h, H);
        }
    }
}

// --- loss -----------------------------------------------------------------------------------------

// The loss of a pass, and the gradients w.dx_last_NC of its tokens with a target. They are of `factor`
// times the loss, of which each target has its weight.
template <class Number>
void Trainer<Number>::head_and_loss(Worker &w, int thread, float factor) {
    int64_t n_tokens = w.tokens.size();
    for (int64_t first = 0; first < n_tokens; first += LOSS_TOKENS) {
        int64_t count = std::min(LOSS_TOKENS, n_tokens - first);
        Panels<float> x = w.x_last_NC.from(first, 0), dx = w.dx_last_NC.from(first, 0);
        for (int64_t i = 0; i < count; i++)
            w.final_scale[i] = normalize(x.row(i), w.loss.x.row(i), true_C, C, config.eps);
        w.nats += head_loss(amx, thread, head, w.loss, w.targets.data() + first,
                            w.target_weights.data() + first, count, V, factor,
                            [&](int64_t i, int64_t n, const float *d) {
                                memcpy(dx.at(i, n), d, TILE * sizeof(float));
                            });
        for (int64_t i = 0; i < count; i++) {  // through the last norm
            Row<float> dx_C = dx.row(i);
            normalize_backward(dx_C, w.loss.x.row(i), w.final_scale[i], true_C, C,
                               [&](int64_t c, Lanes d) { store(d, dx_C + c); });
        }
    }
    int64_t padded = round_up(n_tokens);
    for (int64_t c = 0; c < C; c += TILE)
        memset(w.dx_last_NC.at(n_tokens, c), 0, (padded - n_tokens) * TILE * sizeof(float));
}

// --- backward -------------------------------------------------------------------------------------

// Copies of the gradients of `count` tokens (count, C) for products: in w.dx_TC, and paired.
template <class Number>
void Trainer<Number>::split_gradient(Worker &w, Panels<float> dx, int64_t count,
                                     Panels<Number> paired) {
    for (int64_t c = 0; c < C; c += TILE) convert(dx.at(0, c), w.dx_TC.at(0, c), count * TILE);
    pair(dx, count, C, paired);
}

// Add the gradient of the residual stream through a linear layer and the norm before it.
//   d_T         (count, out), the gradient of the layer's output
//   normalized  (count, C), the layer's input, and `scale` (count) its 1 / rms
template <class Number>
void Trainer<Number>::backward_into_residual(Worker &w, const Linear<Number> &linear,
                                             Panels<Number> d_T, Panels<Number> normalized,
                                             const float *scale, int64_t count, Panels<float> dx) {
    multiply<Number>(amx, d_T, linear.backward, count, C, linear.out, w.d_normalized_TC);
    for (int64_t t = 0; t < count; t++) {
        Row<float> dx_C = dx.row(t);
        normalize_backward(w.d_normalized_TC.row(t), normalized.row(t), scale[t], true_C, C,
                           [&](int64_t c, Lanes d) { store(load(dx_C + c) + d, dx_C + c); });
    }
}

template <class Number>
void Trainer<Number>::add_gradient(Worker &w, int thread, Linear<Number> &linear,
                                   Panels<Number> inputs, Panels<Number> d_N, int64_t n_tokens) {
    Panels<Number> columns{w.columns, linear.in};
    transpose(inputs, n_tokens, linear.in, columns);
    linear.add_gradient(amx, thread, columns, d_N, n_tokens);
}

template <class Number>
void Trainer<Number>::backward_layer(Worker &w, int thread, int l, int64_t rows,
                                     Panels<float> dx_NC) {
    Layer &layer = layers[l];
    LayerActivations<Number> &a = w.layers[l];
    bool is_last = l == config.n_layer - 1;
    int64_t n_tokens = rows * T, n_mlp_tokens = is_last ? round_up(w.tokens.size()) : n_tokens;
    if (is_last) {
        for (int64_t t0 = 0; t0 < n_mlp_tokens; t0 += T)
            backward_mlp(w, l, t0, std::min(T, n_mlp_tokens - t0), w.dx_last_NC.from(t0, 0));
        unpack_gradients(w, rows, dx_NC);
    }
    for (int64_t t0 = 0; t0 < n_tokens; t0 += T) {
        Panels<float> dx = dx_NC.from(t0, 0);
        if (!is_last) backward_mlp(w, l, t0, T, dx);
        backward_attention(w, l, t0, dx);
    }
    // The weights' gradients, over all tokens of the pass.
    add_gradient(w, thread, layer.down, a.h_NM, w.dx_NC, n_mlp_tokens);
    add_gradient(w, thread, layer.gate_up, a.mlp_x_NC, w.d_gate_up_N, n_mlp_tokens);
    add_gradient(w, thread, layer.out, a.y_NQ, w.dx_out_NC, n_tokens);
    add_gradient(w, thread, layer.qkv, a.x_NC, w.d_qkv_NP, n_tokens);
}

// The MLP of `count` tokens with activations from t0 on: through the down projection and SwiGLU, then
// through gate and up, into the residual stream's gradient dx (count, C).
template <class Number>
void Trainer<Number>::backward_mlp(Worker &w, int l, int64_t t0, int64_t count, Panels<float> dx) {
    const Layer &layer = layers[l];
    LayerActivations<Number> &a = w.layers[l];
    split_gradient(w, dx, count, w.dx_NC.from(t0, 0));
    multiply_and_use<Number>(
        amx, w.dx_TC, layer.down.backward, count, M, C,
        [&](int64_t m, int64_t n, const float *tile) {
            alignas(64) float d_gate_up[TILE_SIZE];
            for (int64_t half = 0; half < TILE; half += HALF) {
                int64_t column = 2 * (n + half);
                swiglu_backward(tile + half, a.gate_up_N.at(t0 + m, column), d_gate_up);
                convert(d_gate_up, w.d_gate_up_T.at(m, column), TILE_SIZE);
                pair_tile(d_gate_up, w.d_gate_up_N.at(t0 + m, column));
            }
        });
    backward_into_residual(w, layer.gate_up, w.d_gate_up_T, a.mlp_x_NC.from(t0, 0),
                           a.mlp_scale_N + t0, count, dx);
}

// The gradient of the residual stream before the last MLP: zero but for the tokens with a target.
template <class Number>
void Trainer<Number>::unpack_gradients(Worker &w, int64_t rows, Panels<float> dx_NC) {
    for (int64_t c = 0; c < C; c += TILE) {
        memset(dx_NC.at(0, c), 0, rows * T * TILE * sizeof(float));
        for (size_t i = 0; i < w.tokens.size(); i++)
            memcpy(dx_NC.at(w.tokens[i], c), w.dx_last_NC.at(i, c), TILE * sizeof(float));
    }
}

// Attention of the row that starts at token t0: through its output projection, the softmax, queries,
// keys and values, into the residual stream's gradient dx (T, C).
template <class Number>
void Trainer<Number>::backward_attention(Worker &w, int l, int64_t t0, Panels<float> dx) {
    const Layer &layer = layers[l];
    const LayerActivations<Number> &a = w.layers[l];
    split_gradient(w, dx, T, w.dx_out_NC.from(t0, 0));
    multiply_and_use<Number>(amx, w.dx_TC, layer.out.backward, T, Q, C,
                             [&](int64_t m, int64_t n, const float *tile) {
                                 convert(tile, w.dy_TQ.at(m, n), TILE_SIZE);
                             });
    attend_row_backward(w, l, t0);
    convert(w.qkv_TP.data, w.d_qkv_TP.data, T * P);
    pair<float, Number>(w.qkv_TP, T, P, w.d_qkv_NP.from(t0, 0));
    backward_into_residual(w, layer.qkv, w.d_qkv_TP, a.x_NC.from(t0, 0), a.x_scale_N + t0, true_T, dx);
}

// The gradients (T, P) of queries, keys and values before their norms, into w.qkv_TP.
template <class Number>
void Trainer<Number>::attend_row_backward(Worker &w, int l, int64_t t0) {
    const Layer &layer = layers[l];
    const LayerActivations<Number> &a = w.layers[l];
    AttentionScratch<Number> &s = w.attention;
    float factor = 1 / sqrtf(true_D);
    float *d_q_norm = w.d_head_norms + 2 * l * D, *d_k_norm = d_q_norm + D;
    auto into_qkv = [&](Panels<float> d_rotated, int64_t head, const float *weight_D, float scale,
                        float *d_weight_D) {
        Panels<Number> normalized = a.qk_N.from(t0, head * D);
        Panels<float> d_raw = w.qkv_TP.from(0, head * D);
        for (int64_t t = 0; t < true_T; t++)
            rotate_backward(d_rotated.row(t), normalized.row(t),
                            a.qk_scale_N[(t0 + t) * (H + K) + head], weight_D, cos_TD + t * D / 2,
                            sin_TD + t * D / 2, true_D, D, scale, d_weight_D, d_raw.row(t));
    };
    memset(w.qkv_TP.data, 0, T * P * sizeof(float));
    for (int64_t k = 0; k < K; k++) {
        Panels<Number> v = a.v_N.from(t0, k * D);
        rotated_head(a, layer.norms + D, t0, H + k, 1, w.k_TD);
        transpose_and_pair<Number>(w.k_TD, T, D, s.k_columns);
        pair<Number, Number>(w.k_TD, T, D, s.k_rows);
        transpose_and_pair<Number>(v, T, D, s.v_columns);
        memset(w.dk_TD.data, 0, T * D * sizeof(float));
        memset(w.dv_TD.data, 0, T * D * sizeof(float));
        for (int64_t h = k * H / K; h < (k + 1) * H / K; h++) {
            Panels<Number> dy = w.dy_TQ.from(0, h * D), y = a.y_NQ.from(t0, h * D);
            rotated_head(a, layer.norms, t0, h, factor, w.q_TD);
            pair<Number, Number>(w.q_TD, T, D, s.q_rows);
            pair<Number, Number>(dy, T, D, s.dy_rows);
            attend_backward<Number>(amx, s, w.starts.data() + t0, w.q_TD, y, dy,
                                    a.log_sum_NH + t0 * H + h, H, T, D, w.dq_TD, w.dk_TD, w.dv_TD);
            into_qkv(w.dq_TD, h, layer.norms, factor, d_q_norm);
        }
        into_qkv(w.dk_TD, H + k, layer.norms + D, 1, d_k_norm);
        memcpy(w.qkv_TP.at(0, (H + K + k) * D), w.dv_TD.data, T * D * sizeof(float));
    }
}

// --- a step ---------------------------------------------------------------------------------------

// Take this thread's share of the rows through the model and back.
template <class Number>
void Trainer<Number>::run_passes(int thread, const int64_t *x, const int64_t *y,
                                 const int64_t *starts, const float *loss_weights, int64_t rows,
                                 float factor) {
    Worker &w = *workers[thread];
    w.nats = 0;
    memset(w.d_head_norms, 0, config.n_layer * 2 * D * sizeof(float));
    int64_t row = rows * thread / pool.n_threads, end = rows * (thread + 1) / pool.n_threads;
    for (; row < end; row += config.rows_per_pass) {
        int64_t count = std::min<int64_t>(config.rows_per_pass, end - row);
        Panels<float> dx_NC = dx_BTC.from(row * T, 0);
        find_targets(w, y + row * true_T, loss_weights ? loss_weights + row * true_T : nullptr, count);
        copy_starts(w, starts + row * true_T, count);
        embed(w, x + row * true_T, count);
        for (int l = 0; l < config.n_layer; l++) forward_layer(w, l, count);
        head_and_loss(w, thread, factor);
        for (int l = config.n_layer - 1; l >= 0; l--) backward_layer(w, thread, l, count, dx_NC);
    }
}

// Write this thread's share of the gradients. Returns the sum of their squares.
template <class Number>
double Trainer<Number>::reduce(int thread, const int64_t *x, int64_t rows) {
    double squares = 0;
    int64_t task = 0;
    for (Linear<Number> *linear : linears)
        for (int64_t first = 0; first < linear->in; first += TILE)
            if (task++ % pool.n_threads == thread) squares += linear->reduce(first);
    return squares + reduce_embedding(thread, x, rows) + (thread == 0 ? reduce_head_norms() : 0);
}

// A thread writes the embeddings of a range of token ids: the gradients of all their occurrences.
template <class Number>
double Trainer<Number>::reduce_embedding(int thread, const int64_t *x, int64_t rows) {
    int64_t first = int64_t(V) * thread / pool.n_threads;
    int64_t end = int64_t(V) * (thread + 1) / pool.n_threads;
    float *gradient = gradients.embed_VC;
    memset(gradient + first * true_C, 0, (end - first) * true_C * sizeof(float));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t t = 0; t < true_T; t++) {
            int64_t id = x[r * true_T + t];
            if (id < first || id >= end) continue;
            for (int64_t c = 0; c < true_C; c += TILE) {
                const float *dx = dx_BTC.at(r * T + t, c);
                float *sums = gradient + id * true_C + c;
                int64_t count = std::min<int64_t>(TILE, true_C - c);
                for (int64_t i = 0; i < count; i++) sums[i] += dx[i];
            }
        }
    double squares = 0;
    for (int64_t id = first; id < end; id++) {
        const float *row = gradient + id * true_C;
        squares += dot(row, row, true_C);
    }
    return squares;
}

// The gradients of the norms of queries and keys.
template <class Number>
double Trainer<Number>::reduce_head_norms() {
    double squares = 0;
    for (int l = 0; l < config.n_layer; l++)
        for (int part = 0; part < 2; part++) {
            float *to = part ? gradients.layers[l].k_norm_D : gradients.layers[l].q_norm_D;
            for (int d = 0; d < true_D; d++) {
                to[d] = 0;
                for (auto &worker : workers)
                    to[d] += worker->d_head_norms[(2 * l + part) * D + channel(d)];
                squares += double(to[d]) * to[d];
            }
        }
    return squares;
}

template <class Number>
bool Trainer<Number>::gradients_of(const int64_t *x, const int64_t *y, const int64_t *starts,
                                   const float *loss_weights, int64_t rows, double *loss,
                                   double *squared_norm) {
    int64_t n_targets = 0;
    for (int64_t i = 0; i < rows * true_T; i++) {
        if (x[i] < 0 || x[i] >= V || (y[i] != IGNORE_INDEX && (y[i] < 0 || y[i] >= V)))
            return false;
        int64_t t = i % true_T;
        if (starts[i] > t || starts[i] < (t ? starts[i - 1] : 0)) return false;
        n_targets += y[i] != IGNORE_INDEX;
    }
    double divisor = loss_weights ? 1 : n_targets;
    float factor = n_targets ? float(1.0f / divisor) : 0;
    std::vector<double> squares(pool.n_threads);
    pool.run([&](int thread) {
        if (amx) configure_tiles();
        pack(thread);
        pool.barrier();
        run_passes(thread, x, y, starts, loss_weights, rows, factor);
        pool.barrier();
        squares[thread] = reduce(thread, x, rows);
    });
    *loss = *squared_norm = 0;
    for (int thread = 0; thread < pool.n_threads; thread++) {
        *loss += workers[thread]->nats / divisor;
        *squared_norm += squares[thread];
    }
    return true;
}

// --- the optimizer --------------------------------------------------------------------------------

// Threads take one block of a matrix, or some numbers of a tensor, after the other.
template <class Number>
void Trainer<Number>::update(const Update &u) {
    constexpr int64_t ADAM_NUMBERS = 16384;
    struct Task {
        const MuonMatrix *matrix;
        const AdamTensor *tensor;
        int64_t first;
    };
    std::vector<Task> tasks;
    int64_t max_R = 0, max_C = 0;
    for (const MuonMatrix *m = u.matrices; m < u.matrices + u.n_matrices; m++) {
        int64_t n_blocks = int64_t(m->out / m->block_rows) * (m->in / m->block_columns);
        for (int64_t block = 0; block < n_blocks; block++) tasks.push_back({m, nullptr, block});
        max_R = std::max(max_R, round_up(std::min(m->block_rows, m->block_columns)));
        max_C = std::max(max_C, round_up(std::max(m->block_rows, m->block_columns)));
    }
    for (const AdamTensor *t = u.tensors; t < u.tensors + u.n_tensors; t++)
        for (int64_t first = 0; first < t->size; first += ADAM_NUMBERS)
            tasks.push_back({nullptr, t, first});
    std::atomic<size_t> next{0};
    pool.run([&](int thread) {
        if (amx) configure_tiles();
        std::unique_ptr<UpdateScratch<Number>> &scratch = workers[thread]->update;
        if (!scratch) scratch = std::make_unique<UpdateScratch<Number>>(max_R, max_C);
        for (size_t i; (i = next++) < tasks.size();) {
            const auto &[matrix, tensor, first] = tasks[i];
            if (matrix)
                muon_update(amx, *scratch, *matrix, first, u.momentum);
            else
                adam_update(*tensor, u, first, std::min(first + ADAM_NUMBERS, tensor->size));
        }
    });
}

// --- the ceiling ----------------------------------------------------------------------------------

template <class Number>
void Trainer<Number>::multiply_only(int64_t rows) {
    int64_t widest = 0;
    for (const Linear<Number> *linear : linears)
        widest = std::max({widest, linear->in, linear->out});
    auto ignore = [](int64_t, int64_t, const float *tile) {
        __asm__ volatile("" ::"r"(tile) : "memory");
    };
    pool.run([&](int thread) {
        if (amx) configure_tiles();
        Buffer<Number> a(N * widest), b(N * widest);
        int64_t row = rows * thread / pool.n_threads, end = rows * (thread + 1) / pool.n_threads;
        for (; row < end; row += config.rows_per_pass) {
            int64_t n = std::min<int64_t>(config.rows_per_pass, end - row) * T;
            Panels<Number> inputs{a, n}, paired{b, n};
            for (const Linear<Number> *l : linears) {
                multiply_and_use<Number>(amx, inputs, l->forward, n, l->out, l->in, ignore);
                multiply_and_use<Number>(amx, inputs, l->backward, n, l->in, l->out, ignore);
                multiply_and_use<Number>(amx, {a, l->in}, paired, l->in, l->out, n, ignore);
            }
        }
    });
}

// --- the interface for Python ---------------------------------------------------------------------

// The type of the operands of products: float or bfloat16. Each is compiled on its own, since a run
// needs only one.
#ifndef NUMBER
#define NUMBER float
#endif
using NumberTrainer = Trainer<NUMBER>;

// A trainer, to be freed by free_trainer. The tensors must stay where they are. Returns null if
// there is not enough memory.
extern "C" void *new_trainer(const Config *config, const ModelTensors *weights,
                             const ModelTensors *gradients) {
    try {
        return new NumberTrainer(*config, *weights, *gradients,
                                 sizeof(NUMBER) == 2 && request_amx());
    } catch (const std::exception &) {
        return nullptr;
    }
}

extern "C" void free_trainer(void *trainer) { delete (NumberTrainer *)trainer; }

extern "C" bool compute_gradients(void *trainer, const int64_t *x, const int64_t *y,
                                  const int64_t *starts, const float *loss_weights, int64_t rows,
                                  double *loss, double *squared_norm) {
    return ((NumberTrainer *)trainer)
        ->gradients_of(x, y, starts, loss_weights, rows, loss, squared_norm);
}

extern "C" void multiply_only(void *trainer, int64_t rows) {
    ((NumberTrainer *)trainer)->multiply_only(rows);
}

extern "C" void update_weights(void *trainer, const Update *update) {
    ((NumberTrainer *)trainer)->update(*update);
}
