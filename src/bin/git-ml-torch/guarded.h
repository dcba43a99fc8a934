// No exception may leave C++: what goes wrong becomes a text, to be freed with git_ml_free.

#pragma once

#include <cstring>
#include <exception>

#include <c10/util/Exception.h>

namespace git_ml {

template <typename Work>
inline char *guarded(Work work) {
  try {
    work();
    return nullptr;
  } catch (const c10::Error &error) {
    return strdup(error.what_without_backtrace());
  } catch (const std::exception &error) {
    return strdup(error.what());
  }
}

}  // namespace git_ml
