// A training step of a tiny model with made-up weights, for processors without Python: prints the
// loss, the norm of the gradients, and a projection of every gradient and of every updated weight.

#include "train.cpp"

#include <stdio.h>

static uint32_t state = 1;

static float random_number() {  // in [-1, 1); Numerical Recipes' generator
    state = state * 1664525 + 1013904223;
    return int32_t(state) * (1.0f / 2147483648.0f);
}

int main() {
    constexpr int L = 2, C = 50, H = 4, K = 2, D = 22, M = 128, V = 101, T = 37, B = 3;
    std::vector<std::vector<float>> weights, gradients, means, squares;
    std::vector<int> outs, ins;
    auto tensor = [&](int out, int in, float scale) {
        std::vector<float> values(out * in);
        for (float &value : values) value = (in == 1) + scale * random_number();
        outs.push_back(out);
        ins.push_back(in);
        gradients.push_back(std::vector<float>(out * in));
        means.push_back(std::vector<float>(out * in));
        squares.push_back(std::vector<float>(out * in));
        weights.push_back(std::move(values));
    };
    tensor(V, C, 0.5f), tensor(C, 1, 0.1f), tensor(V, C, 0.2f);
    for (int l = 0; l < L; l++) {
        tensor(C, 1, 0.1f), tensor(H * D, C, 0.2f), tensor(K * D, C, 0.2f), tensor(K * D, C, 0.2f);
        tensor(D, 1, 0.1f), tensor(D, 1, 0.1f), tensor(C, H * D, 0.2f), tensor(C, 1, 0.1f);
        tensor(M, C, 0.2f), tensor(M, C, 0.2f), tensor(C, M, 0.2f);
    }
    auto layers = [&](std::vector<std::vector<float>> &tensors) {
        std::vector<LayerTensors> all(L);
        for (int l = 0; l < L; l++) {
            float **fields = (float **)&all[l];
            for (int i = 0; i < 11; i++) fields[i] = tensors[3 + 11 * l + i].data();
        }
        return all;
    };
    std::vector<LayerTensors> weight_layers = layers(weights), gradient_layers = layers(gradients);
    ModelTensors w{weights[0].data(), weights[1].data(), weights[2].data(), weight_layers.data()};
    ModelTensors g{gradients[0].data(), gradients[1].data(), gradients[2].data(),
                   gradient_layers.data()};
    std::vector<float> cos_TD(T * D), sin_TD(T * D);
    for (int t = 0; t < T; t++)
        for (int d = 0; d < D; d++) {
            double angle = t / pow(10000, double(d % (D / 2)) * 2 / D);
            cos_TD[t * D + d] = cos(angle), sin_TD[t * D + d] = sin(angle);
        }
    Config config{L, C, H, K, D, M, V, T, B, 1, 2, 1e-6f, cos_TD.data(), sin_TD.data()};
    std::vector<int64_t> x(B * T), y(B * T), starts(B * T);
    for (int i = 0; i < B * T; i++) {
        x[i] = int((random_number() + 1) / 2 * V), y[i] = int((random_number() + 1) / 2 * V);
        if (i % 5 == 0) y[i] = IGNORE_INDEX;
        starts[i] = i % T < T / 3 ? 0 : T / 3;
    }
    void *trainer = new_trainer(&config, &w, &g);
    double loss, squared_norm;
    if (!compute_gradients(trainer, x.data(), y.data(), starts.data(), nullptr, B, &loss,
                           &squared_norm)) return 1;
    auto print_projection = [](const std::vector<float> &values) {
        double sum = 0;
        state = 7;
        for (float value : values) sum += double(value) * random_number();
        printf("%.6e\n", sum);
    };
    printf("%.6f\n%.6e\n", loss, sqrt(squared_norm));
    for (const auto &values : gradients) print_projection(values);

    std::vector<MuonMatrix> matrices;
    std::vector<AdamTensor> tensors;
    for (size_t i = 0; i < weights.size(); i++)
        if (i > 2 && ins[i] > 1) {
            bool narrow = outs[i] > ins[i];  // in two blocks, above or beside each other
            matrices.push_back({weights[i].data(), gradients[i].data(), means[i].data(), outs[i],
                                ins[i], narrow ? outs[i] / 2 : outs[i], narrow ? ins[i] : ins[i] / 2,
                                0.02f});
        } else {
            tensors.push_back({weights[i].data(), gradients[i].data(), means[i].data(),
                               squares[i].data(), int64_t(weights[i].size()), 0.01f});
        }
    Update update{matrices.data(), tensors.data(), int32_t(matrices.size()),
                  int32_t(tensors.size()), 0.95f, 0.9f, 0.95f, 1e-10f, 1};
    update_weights(trainer, &update);
    for (const auto &values : weights) print_projection(values);
    free_trainer(trainer);
}
