// What libtorch can do and tch has no call for. Each function returns null, or an error's text to be freed with
// git_ml_free: no exception may leave C++.

#include <cstdlib>
#include <limits>
#include <vector>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/autocast_mode.h>

#include "guarded.h"

namespace {

using git_ml::guarded;

at::Tensor &tensor(void *pointer) { return *static_cast<at::Tensor *>(pointer); }

// The gradient as the fused kernels want it: they walk over memory without looking at strides.
at::Tensor gradient_of(const at::Tensor &parameter) {
  const at::Tensor &gradient = parameter.grad();
  if (gradient.strides() == parameter.strides()) {
    return gradient;
  }
  return at::empty_like(parameter).copy_(gradient);
}

// The parameters that have a gradient, by their places.
std::vector<size_t> learning(void *const *parameters, size_t count) {
  std::vector<size_t> places;
  for (size_t index = 0; index < count; index++) {
    if (tensor(parameters[index]).grad().defined()) {
      places.push_back(index);
    }
  }
  return places;
}

std::vector<at::Tensor> gradients_of(void *const *parameters, size_t count) {
  std::vector<at::Tensor> gradients;
  for (size_t index : learning(parameters, count)) {
    gradients.push_back(tensor(parameters[index]).grad());
  }
  return gradients;
}

}  // namespace

extern "C" {

void git_ml_free(char *text) { free(text); }

// Within, libtorch computes in 16 bits where that is safe. `half`: float16 in place of bfloat16.
char *git_ml_autocast_begin(bool cuda, bool half) {
  return guarded([&] {
    auto device = cuda ? at::kCUDA : at::kCPU;
    at::autocast::set_autocast_dtype(device, half ? at::kHalf : at::kBFloat16);
    at::autocast::set_autocast_enabled(device, true);
    at::autocast::increment_nesting();
  });
}

char *git_ml_autocast_end(bool cuda) {
  return guarded([&] {
    if (at::autocast::decrement_nesting() == 0) {
      at::autocast::clear_cache();
    }
    at::autocast::set_autocast_enabled(cuda ? at::kCUDA : at::kCPU, false);
  });
}

// Memory that was freed is kept for the next step, which needs as much again: giving it back to the system and getting
// it anew, page by page and zeroed, would take a third of the time of a small network.
void git_ml_keep_memory() {
#ifdef __GLIBC__
  // The largest threshold that glibc takes.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

// The same input gives the same bits; an operation that cannot warns.
char *git_ml_deterministic() {
  return guarded([] {
    at::globalContext().setDeterministicAlgorithms(true, true);
    at::globalContext().setDeterministicFillUninitializedMemory(false);
    at::globalContext().setBenchmarkCuDNN(false);
  });
}

// A step of Adam, or of AdamW where `decoupled`. Parameters without a gradient stay as they are.
char *git_ml_adam(void *const *parameters, void *const *means, void *const *squares, void *const *steps, size_t count,
                  double rate, double beta1, double beta2, double decay, double epsilon, bool decoupled) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    std::vector<at::Tensor> own, gradients, own_means, own_squares, own_steps;
    for (size_t index : learning(parameters, count)) {
      own.push_back(tensor(parameters[index]));
      gradients.push_back(gradient_of(own.back()));
      own_means.push_back(tensor(means[index]));
      own_squares.push_back(tensor(squares[index]));
      own_steps.push_back(tensor(steps[index]).add_(1));
    }
    if (own.empty()) {
      return;
    }
    if (decoupled) {
      at::_fused_adamw_(own, gradients, own_means, own_squares, {}, own_steps, rate, beta1, beta2, decay, epsilon,
                        false, false);
    } else {
      at::_fused_adam_(own, gradients, own_means, own_squares, {}, own_steps, rate, beta1, beta2, decay, epsilon,
                       false, false);
    }
  });
}

// A step of stochastic gradient descent with momentum; `first`: the buffers hold nothing yet.
char *git_ml_sgd(void *const *parameters, void *const *buffers, size_t count, double rate, double momentum,
                 double decay, bool first) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    std::vector<at::Tensor> own, gradients, own_buffers;
    for (size_t index : learning(parameters, count)) {
      own.push_back(tensor(parameters[index]));
      gradients.push_back(gradient_of(own.back()));
      own_buffers.push_back(tensor(buffers[index]));
    }
    if (!own.empty()) {
      at::_fused_sgd_(own, gradients, own_buffers, decay, momentum, rate, 0.0, false, false, first);
    }
  });
}

// Forgets the gradients.
char *git_ml_zero_gradients(void *const *parameters, size_t count) {
  return guarded([&] {
    for (size_t index = 0; index < count; index++) {
      tensor(parameters[index]).mutable_grad() = at::Tensor();
    }
  });
}

// Multiplies the gradients by `factor`, and says whether all of them are finite.
char *git_ml_unscale(void *const *parameters, size_t count, double factor, bool *finite) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    auto gradients = gradients_of(parameters, count);
    *finite = true;
    if (gradients.empty()) {
      return;
    }
    auto found = at::zeros({1}, gradients[0].options().dtype(at::kFloat));
    auto scale = at::full({1}, factor, gradients[0].options().dtype(at::kFloat));
    at::_amp_foreach_non_finite_check_and_unscale_(gradients, found, scale);
    *finite = found.item<float>() == 0.0f;
  });
}

// Scales the gradients down so that their common norm is at most `most`, and gives the norm that they had.
char *git_ml_clip(void *const *parameters, size_t count, double most, double *norm) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    auto gradients = gradients_of(parameters, count);
    *norm = 0.0;
    if (gradients.empty()) {
      return;
    }
    *norm = at::stack(at::_foreach_norm(gradients)).norm().item<double>();
    if (*norm > most) {
      at::_foreach_mul_(gradients, most / (*norm + 1e-6));
    }
  });
}

}
