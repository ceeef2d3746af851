#pragma once

/// One thread for torch and for the OpenBLAS that may be beneath it.

#include <torch/torch.h>

#include <string>

#if __has_include(<dlfcn.h>)
#include <dlfcn.h>
#endif

namespace examples {

/// Makes torch use one thread, its BLAS too if that is OpenBLAS; returns what the BLAS is.
inline std::string use_one_thread() {
  at::set_num_threads(1);
#if __has_include(<dlfcn.h>)
  const auto set_threads = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"));
  const auto name = reinterpret_cast<char* (*)()>(dlsym(RTLD_DEFAULT, "openblas_get_corename"));
  if (set_threads != nullptr && name != nullptr) {
    set_threads(1);
    return std::string("OpenBLAS for ") + name();
  }
#endif
  return "another BLAS than OpenBLAS";
}

}  // namespace examples
