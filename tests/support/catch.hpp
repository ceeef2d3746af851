#pragma once

/// Catch2, version 2 or 3, and what these tests add to it: the message of an error.

#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_approx.hpp>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif

#include <string>

namespace test_support {

/// What a test does with a mistake, by reference.
class Action {
 public:
  template <class Function>
  Action(const Function& function)
      : function_(&function),
        call_([](const void* of) { static_cast<void>((*static_cast<const Function*>(of))()); }) {}
  void operator()() const { call_(function_); }

 private:
  const void* function_;
  void (*call_)(const void*);
};

}  // namespace test_support

/// The message of the `Error` that `action` throws; the test fails if it throws nothing.
template <class Error>
std::string message_of(test_support::Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  FAIL("no error was thrown");
  return {};
}
