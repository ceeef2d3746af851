/// What JavaScript calls: see calls.hpp. kronecker.mjs is the other side.

#include "calls.hpp"

#include <emscripten.h>

/// Answers a request; both are UTF-8 that ends with a zero. The answer stays until the next call.
extern "C" EMSCRIPTEN_KEEPALIVE const char* kronecker_call(const char* request) {
  static std::string answer;
  answer = web::answer(request);
  return answer.c_str();
}
