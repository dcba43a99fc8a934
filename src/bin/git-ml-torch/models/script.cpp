// TorchScript modules as something to train, which tch has no calls for: their buffers, parts of them in evaluation
// mode, and a module around them. Each function returns null, or an error's text to be freed with
// git_ml_free: no exception may leave C++.

#include <sstream>
#include <string>
#include <unordered_set>

#include <torch/csrc/jit/python/update_graph_executor_opt.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/script.h>

#include "../guarded.h"

namespace {

using git_ml::guarded;

torch::jit::Module &module_of(void *pointer) { return *static_cast<torch::jit::Module *>(pointer); }

at::Tensor &tensor_of(void *pointer) { return *static_cast<at::Tensor *>(pointer); }

}  // namespace

extern "C" {

void git_ml_script_free(void *module) { delete static_cast<torch::jit::Module *>(module); }

// `cuda` is the number of a device, or -1 for the CPU.
char *git_ml_script_load(const char *bytes, size_t size, int cuda, void **module) {
  return guarded([&] {
    auto device = cuda < 0 ? at::Device(at::kCPU) : at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(cuda));
    std::istringstream stream(std::string(bytes, size));
    *module = new torch::jit::Module(torch::jit::load(stream, device));
  });
}

char *git_ml_script_forward(void *module, void *input, void **output) {
  return guarded([&] {
    // The optimised form differs from the first runs' in the last bits, and a resumed training begins anew with those.
    torch::jit::GraphOptimizerEnabledGuard unoptimised(false);
    auto result = module_of(module).forward({tensor_of(input)});
    TORCH_CHECK(result.isTensor(), "it gives a ", result.tagKind(), ", not a tensor");
    *output = new at::Tensor(result.toTensor());
  });
}

// Switches to training or evaluation; the children with these names stay in evaluation.
char *git_ml_script_train(void *module, bool on, const char *const *frozen, size_t count) {
  return guarded([&] {
    std::unordered_set<std::string> names(frozen, frozen + count);
    module_of(module).train(on);
    for (const auto &child : module_of(module).named_children()) {
      if (names.count(child.name) > 0) {
        torch::jit::Module part = child.value;
        part.train(false);
      }
    }
  });
}

// Hands out each parameter and each buffer by name, as the tensor that the module itself has.
char *git_ml_script_tensors(void *module, void *data,
                            void (*take)(void *data, const char *name, void *tensor, bool is_parameter)) {
  return guarded([&] {
    for (const auto &named : module_of(module).named_parameters()) {
      take(data, named.name.c_str(), new at::Tensor(named.value), true);
    }
    for (const auto &named : module_of(module).named_buffers()) {
      if (named.value.defined()) {
        take(data, named.name.c_str(), new at::Tensor(named.value), false);
      }
    }
  });
}

// Writes a module that normalises its inputs and hands them to `module`, in evaluation mode.
char *git_ml_script_save(void *module, void *mean, void *deviation, const char *place) {
  return guarded([&] {
    torch::jit::Module outer("__torch__.Model");
    outer.register_attribute("training", c10::BoolType::get(), false);
    outer.register_module("network", module_of(module));
    outer.register_buffer("mean", tensor_of(mean));
    outer.register_buffer("deviation", tensor_of(deviation));
    outer.define(R"(
def forward(self, inputs):
    return self.network.forward((inputs - self.mean) / self.deviation)
)");
    outer.eval();
    outer.save(place);
  });
}

}
