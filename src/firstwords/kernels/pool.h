// A pool of threads that run one function side by side and meet at barriers.
//
// OpenMP does the same, but macOS's compiler comes without it. Waiting threads spin for a moment,
// since the next work usually comes within microseconds, and then sleep.

#pragma once

#include <stdint.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

class Pool {
  public:
    explicit Pool(int n_threads) : n_threads(n_threads) {
        for (int i = 1; i < n_threads; i++) threads.emplace_back([this, i] { serve(i); });
    }

    ~Pool() {
        stopping = true;
        start_round();
        for (std::thread &thread : threads) thread.join();
    }

    // Call function(thread) in all threads, this one as number 0, and wait until all are done.
    void run(const std::function<void(int)> &function) {
        task = &function;
        start_round();
        function(0);
        barrier();
    }

    // Wait until all threads of the pool are here.
    void barrier() {
        int64_t round = barrier_round.load(std::memory_order_acquire);
        if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == n_threads) {
            arrived.store(0, std::memory_order_relaxed);
            publish(barrier_round, round + 1);
        } else {
            wait_for_change(barrier_round, round);
        }
    }

    const int n_threads;

  private:
    static constexpr int SPINS = 2000;  // about 100 microseconds

    std::vector<std::thread> threads;
    const std::function<void(int)> *task = nullptr;
    std::atomic<bool> stopping{false};
    std::atomic<int64_t> task_round{0}, barrier_round{0};
    std::atomic<int> arrived{0};
    std::mutex mutex;
    std::condition_variable changed;

    void start_round() { publish(task_round, task_round.load(std::memory_order_relaxed) + 1); }

    void publish(std::atomic<int64_t> &counter, int64_t value) {
        {
            std::lock_guard<std::mutex> lock(mutex);
            counter.store(value, std::memory_order_release);
        }
        changed.notify_all();
    }

    void wait_for_change(std::atomic<int64_t> &counter, int64_t old) {
        for (int i = 0; i < SPINS; i++) {
            if (counter.load(std::memory_order_acquire) != old) return;
#if defined(__x86_64__)
            __builtin_ia32_pause();
#endif
        }
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait(lock, [&] { return counter.load(std::memory_order_acquire) != old; });
    }

    void serve(int thread) {
        for (int64_t round = 0;; round++) {
            wait_for_change(task_round, round);
            if (stopping) return;
            (*task)(thread);
            barrier();
        }
    }
};
