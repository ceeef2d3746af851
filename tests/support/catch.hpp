#pragma once

/// Catch2, version 2 or 3, and what these tests add to it.

#include <kronecker/out_of_line.hpp>

#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_approx.hpp>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <cstddef>
#include <string>

namespace test_support {

/// Where a check stands, and what it says.
struct CheckPlace {
  const char* macro;
  const char* file;
  std::size_t line;
  const char* expression;
  Catch::ResultDisposition::Flags disposition;
};

/// What all checks do.
class Check {
 public:
  KRONECKER_OUT_OF_LINE explicit Check(const CheckPlace& place)
      : handler_(Catch::StringRef(place.macro), Catch::SourceLineInfo(place.file, place.line),
                 Catch::StringRef(place.expression), place.disposition) {}
  Check(const Check&) = delete;
  Check& operator=(const Check&) = delete;
  KRONECKER_OUT_OF_LINE ~Check() {}  // names the place, if an exception passes

  KRONECKER_OUT_OF_LINE void of(const Catch::ITransientExpression& expression) {
    handler_.handleExpr(expression);
    handler_.complete();
  }
  template <class T>
  void of(const Catch::ExprLhs<T>& expression) {
    of(expression.makeUnaryExpr());
  }

 private:
  Catch::AssertionHandler handler_;
};

}  // namespace test_support

/// Catch's macros, of which there are more than a thousand, in a third of the code: what is the same in all
/// of them is called, and an exception is not caught where it is thrown, but ends the test case, with the
/// place named. (The condition of the loop only shows the expression to the compiler, for its warnings.)
#define KRONECKER_TEST_CHECK(name, flags, ...)                                                        \
  do {                                                                                                \
    static constexpr test_support::CheckPlace this_check_place{                                       \
        name, __FILE__, __LINE__, #__VA_ARGS__, static_cast<Catch::ResultDisposition::Flags>(flags)}; \
    test_support::Check this_check(this_check_place);                                                 \
    CATCH_INTERNAL_START_WARNINGS_SUPPRESSION                                                         \
    CATCH_INTERNAL_SUPPRESS_PARENTHESES_WARNINGS                                                      \
    this_check.of(Catch::Decomposer() <= __VA_ARGS__);                                                \
    CATCH_INTERNAL_STOP_WARNINGS_SUPPRESSION                                                          \
  } while ((void)0, false && static_cast<bool>(!!(__VA_ARGS__)))
#undef CHECK
#undef CHECK_FALSE
#undef REQUIRE
#undef REQUIRE_FALSE
#define CHECK(...) KRONECKER_TEST_CHECK("CHECK", Catch::ResultDisposition::ContinueOnFailure, __VA_ARGS__)
#define REQUIRE(...) KRONECKER_TEST_CHECK("REQUIRE", Catch::ResultDisposition::Normal, __VA_ARGS__)
#define CHECK_FALSE(...)                                                                                  \
  KRONECKER_TEST_CHECK("CHECK_FALSE",                                                                     \
                       Catch::ResultDisposition::ContinueOnFailure + Catch::ResultDisposition::FalseTest, \
                       __VA_ARGS__)
#define REQUIRE_FALSE(...)              \
  KRONECKER_TEST_CHECK("REQUIRE_FALSE", \
                       Catch::ResultDisposition::Normal + Catch::ResultDisposition::FalseTest, __VA_ARGS__)

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
