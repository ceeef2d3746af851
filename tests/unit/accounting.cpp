#include "catch.hpp"

#include <kronecker/analysis/accounting.hpp>

#include <cmath>

using kronecker::account;
using kronecker::Accounting;
using kronecker::OutputHead;

namespace {

double rounded_to_hundredths(double percent) { return std::round(percent * 100) / 100; }

}  // namespace

TEST_CASE("the published savings on the input embedding come out") {
  const Accounting gpt2 = account({.vocab_size = 50257, .d_model = 768, .pos_dim = 16});
  CHECK(gpt2.input_parameters.table == 38597376);
  CHECK(gpt2.input_parameters.kronecker == 3145728);
  CHECK(rounded_to_hundredths(gpt2.input_parameters.saved_percent()) == 91.85);

  const Accounting large = account({.vocab_size = 131072, .d_model = 4096});
  CHECK(large.input_parameters.table == 536870912);
  CHECK(large.input_parameters.kronecker == 33554432);
  CHECK(large.input_parameters.saved_percent() == 93.75);
}

TEST_CASE("rows of their own are parameters like those of a table") {
  const Accounting accounting =
      account({.vocab_size = 50257, .d_model = 768, .pos_dim = 16, .own_rows = 4000});
  CHECK(accounting.input_parameters.kronecker == (4096u + 4000u) * 768u);
  CHECK(accounting.input_memory.kronecker == 4u * (4096u + 4000u) * 768u + 50257u * 17u);
  CHECK(message_of<std::invalid_argument>([] {
          account({.vocab_size = 10, .d_model = 8, .own_rows = 11});
        }) == "own_rows 11 is outside 0 to vocab_size 10");
}

TEST_CASE("memory counts the token bytes, and the width of a parameter") {
  const Accounting accounting = account({.vocab_size = 131072, .d_model = 4096, .bytes_per_parameter = 2});
  CHECK(accounting.token_bytes_memory == 131072u * 33u);
  CHECK(accounting.input_memory.table == 2u * 536870912u);
  CHECK(accounting.input_memory.kronecker == 2u * 33554432u + 131072u * 33u);
  CHECK(account({.vocab_size = 1000, .d_model = 8, .pos_dim = 4, .char_dim = 128}).input_memory.kronecker ==
        4u * 128u * 4u * 8u + 1000u * 5u);
}

TEST_CASE("next to an untied head, the saving is that on the input alone") {
  const Accounting accounting =
      account({.vocab_size = 131072, .d_model = 4096, .model_parameters = 8'000'000'000});
  CHECK(accounting.parameters_with_head.table == 2u * 536870912u);
  CHECK(accounting.parameters_with_head.kronecker == 536870912u + 33554432u);
  CHECK(accounting.parameters_with_head.saved_percent() == 93.75 / 2);
  REQUIRE(accounting.model_parameters);
  CHECK(accounting.model_parameters->table == 8'000'000'000);
  CHECK(accounting.model_parameters->kronecker == 8'000'000'000 - 536870912 + 33554432);
}

TEST_CASE("replacing a tied table by an embedding with a head of its own saves less than nothing") {
  const Accounting accounting = account({.vocab_size = 50257,
                                         .d_model = 768,
                                         .pos_dim = 16,
                                         .table_head = OutputHead::tied,
                                         .model_parameters = 124'439'808});
  CHECK(rounded_to_hundredths(accounting.input_parameters.saved_percent()) == 91.85);
  CHECK(accounting.parameters_with_head.table == 38597376);
  CHECK(accounting.parameters_with_head.kronecker == 38597376 + 3145728);
  CHECK(rounded_to_hundredths(accounting.parameters_with_head.saved_percent()) == -8.15);
  REQUIRE(accounting.model_parameters);
  CHECK(accounting.model_parameters->kronecker == 124'439'808 + 3145728);
  CHECK(rounded_to_hundredths(accounting.model_parameters->saved_percent()) == -2.53);
}

TEST_CASE("tied on both sides, the whole of the saving stays") {
  const Accounting accounting = account({.vocab_size = 131072,
                                         .d_model = 4096,
                                         .table_head = OutputHead::tied,
                                         .kronecker_head = OutputHead::tied});
  CHECK(accounting.parameters_with_head.saved_percent() == 93.75);
  CHECK_FALSE(accounting.model_parameters);
}

TEST_CASE("a corrected head has a bias and k factors for each token, and k rows") {
  const Accounting accounting = account({.vocab_size = 50257,
                                         .d_model = 768,
                                         .pos_dim = 16,
                                         .kronecker_head = OutputHead::corrected,
                                         .head_rank = 64});
  const std::uint64_t corrected = 4096 * 768 + 50257 * 65 + 64 * 768;
  CHECK(accounting.parameters_with_head.kronecker == corrected);
  CHECK(accounting.memory_with_head.table == 2u * 4u * 50257u * 768u);
  CHECK(accounting.memory_with_head.kronecker == 4 * corrected + 50257 * 17);
  CHECK(message_of<std::invalid_argument>([&] {
          account({.vocab_size = 8, .d_model = 8, .head_rank = -1});
        }) == "head_rank -1 is negative");
}

TEST_CASE("a small vocabulary has the smaller table") {
  CHECK(account({.vocab_size = 4096, .d_model = 64}).input_parameters.saved_percent() == -100);
}

TEST_CASE("sizes that mean nothing are refused by name") {
  const auto message = [](const kronecker::EmbeddingSizes& sizes) {
    return message_of<std::invalid_argument>([&] { account(sizes); });
  };
  CHECK(message({.vocab_size = 0, .d_model = 8}) == "vocab_size 0 is not positive");
  CHECK(message({.vocab_size = 8, .d_model = -1}) == "d_model -1 is not positive");
  CHECK(message({.vocab_size = 8, .d_model = 8, .bytes_per_parameter = 0}) ==
        "bytes_per_parameter 0 is not positive");
  CHECK(message({.vocab_size = 8, .d_model = 8, .pos_dim = 256}) == "pos_dim 256 is outside 1 to 255");
  CHECK(message({.vocab_size = 100, .d_model = 10, .model_parameters = 1999}) ==
        "a model of 1999 parameters is smaller than its table and output head of 2000");
  CHECK(message({.vocab_size = 2147483647, .d_model = 2147483647}) ==
        "an embedding of 2147483647 x 2147483647 parameters of 4 bytes is too large to count");
  CHECK(message({.vocab_size = 1, .d_model = 1000, .model_parameters = ~std::uint64_t{0}}) ==
        "a model of 18446744073709551615 parameters is too large to count");
}
