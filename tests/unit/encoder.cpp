#include "definition.hpp"
#include "golden.hpp"

#include <kronecker/encoder.hpp>

#include <algorithm>
#include <limits>
#include <random>
#include <set>

using kronecker::CodeOptions;
using kronecker::KroneckerEncoder;
using test_support::from_hex;
using test_support::modes;

namespace {

using DynamicEncoder = KroneckerEncoder<Eigen::Dynamic, Eigen::Dynamic>;

double relative_error(double value, double expected) {
  return expected == 0 ? std::abs(value) : std::abs(value - expected) / std::abs(expected);
}

/// The normalized code's lit and unlit value, rounded to bfloat16.
constexpr CodeOptions rounded_options{.rounding = kronecker::CodeRounding::bfloat16};

std::string random_bytes(std::mt19937& random, int char_dim, int size) {
  std::string bytes(static_cast<std::size_t>(size), '\0');
  for (char& byte : bytes) byte = static_cast<char>(random() % static_cast<unsigned>(char_dim));
  return bytes;
}

}  // namespace

TEST_CASE("codes are the reference's, in every mode") {
  const auto codec = test_support::golden_json("codec.json");
  REQUIRE(codec["cases"].size() == 207);
  for (const auto& golden : codec["cases"]) {
    const std::string used = from_hex(golden["used_hex"]);
    const bool cut_between_characters = golden["truncation"] == "safe";
    const std::string token = cut_between_characters ? from_hex(golden["bytes_hex"]) : used;
    for (const auto& [mode, options] : modes()) {
      INFO(golden["name"] << ", pos_dim " << golden["pos_dim"] << ", mode " << mode);
      const DynamicEncoder encoder(256, golden["pos_dim"], options);
      if (used.empty() &&
          !token.empty()) {  // the reference loses bytes that are not text when it truncates them
        CHECK(encoder.decode(encoder.encode(token)) == token.substr(0, golden["pos_dim"].get<std::size_t>()));
        continue;
      }
      const Eigen::VectorXf code = encoder.encode(token);
      const std::vector<int> cells = encoder.cells(token);
      const std::set<int> lit(cells.begin(), cells.end());
      REQUIRE(lit == golden["indices"].get<std::set<int>>());
      REQUIRE(static_cast<int>(cells.size()) == golden["L"].get<int>());
      REQUIRE(encoder.truncate(token) == used);

      const auto& expected = golden["flags"][mode];
      const double background = expected["closed_background_f64"];
      for (int i = 0; i < code.size(); ++i) {
        const double value = lit.count(i) ? expected["closed_value_f64"].get<double>() : background;
        if (relative_error(static_cast<double>(code[i]), value) > 1e-6)
          FAIL("cell " << i << " holds " << code[i] << " instead of " << value);
      }
      if (!used.empty()) {
        CHECK(relative_error(static_cast<double>(code[cells[0]]), expected["value"]) < 1e-6);
        CHECK(relative_error(code.cast<double>().norm(), expected["l2_f64"]) < 1e-6);
      }
      CHECK(encoder.decode(code) == used);
    }
  }
}

TEST_CASE("the reference's odd arguments give its code or a clear error") {
  int cases = 0;
  for (const auto& golden : test_support::golden_json("codec_edge.json")) {
    const auto& arguments = golden["kw"];
    if (golden["bytes"].size() != 1 || !golden["bytes"][0].is_array() || arguments.contains("out_dtype"))
      continue;
    const auto values = golden["bytes"][0].get<std::vector<int>>();
    const int pos_dim = arguments.value("pos_dim", 32);
    const int char_dim = arguments.value("char_dim", 256);
    const auto length = golden["lengths"][0].get<double>();
    const bool is_expressible = golden["lengths"].size() == 1 && static_cast<int>(values.size()) == pos_dim &&
                                length == std::floor(length) && length >= 0 && length <= pos_dim &&
                                char_dim >= 2 && *std::min_element(values.begin(), values.end()) >= 0 &&
                                *std::max_element(values.begin(), values.end()) <= 255;
    if (!is_expressible) continue;  // a byte string has one length, and its bytes are bytes
    INFO(golden["what"]);
    ++cases;
    CodeOptions options;
    options.z_normalize = arguments.value("z_normalize", true);
    options.epsilon = arguments.value("eps", 1e-6f);
    const DynamicEncoder encoder(char_dim, pos_dim, options);
    std::string token;
    for (int i = 0; i < static_cast<int>(length); ++i)
      token += static_cast<char>(values[static_cast<std::size_t>(i)]);

    if (golden["result"].contains("raises") && std::any_of(token.begin(), token.end(), [&](char byte) {
          return static_cast<unsigned char>(byte) >= char_dim;
        })) {
      CHECK(message_of<std::invalid_argument>([&] { encoder.encode(token); }) ==
            "byte 200 at position 0 is outside the alphabet of char_dim 128");
      continue;
    }
    const Eigen::VectorXf code = encoder.encode(token);
    if (golden["result"].contains("raises") || token.empty()) {
      // The reference trips over padding bytes, and divides zero by zero for an empty token when epsilon is
      // 0.
      CHECK(encoder.decode(code) == token);
      CHECK(code.isZero(0) == token.empty());
      continue;
    }
    const auto& row = golden["result"]["rows"][0];
    Eigen::VectorXd expected = Eigen::VectorXd::Constant(encoder.code_dim(), row["background"].get<double>());
    for (std::size_t i = 0; i < row["indices"].size(); ++i)
      expected[row["indices"][i].get<int>()] = row["values"][i];
    CHECK(((code.cast<double>() - expected).array() / expected.array().abs().max(1e-30))
              .abs()
              .maxCoeff<Eigen::PropagateNaN>() < 2e-6);
  }
  CHECK(cases == 13);
}

TEST_CASE("codes of all sizes and options are those of the definition, and decode") {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    const int char_dim = round < 4 ? (round % 2 ? 2 : 256) : 2 + static_cast<int>(random() % 255);
    const int pos_dim = round < 4 ? (round / 2 ? 1 : 255) : 1 + static_cast<int>(random() % 255);
    CodeOptions options{random() % 2 == 0, random() % 2 == 0,
                        std::array{0.0f, 1e-6f, 1e-3f, 1.0f, 1e30f}[random() % 5]};
    const DynamicEncoder encoder(char_dim, pos_dim, options);
    const std::string token =
        random_bytes(random, char_dim, static_cast<int>(random() % static_cast<unsigned>(pos_dim + 1)));
    INFO("char_dim " << char_dim << ", pos_dim " << pos_dim << ", L " << token.size());
    const Eigen::VectorXf code = encoder.encode(token);
    const Eigen::VectorXd expected = test_support::code_by_definition(token, char_dim, pos_dim, options);
    CHECK((code.cast<double>() - expected).cwiseAbs().maxCoeff<Eigen::PropagateNaN>() <=
          1e-6 * expected.cwiseAbs().maxCoeff());
    CHECK(encoder.decode(code) == token);
  }
}

TEST_CASE("rounded codes hold the two values that PyTorch rounds to bfloat16, bit for bit") {
  const auto constants = test_support::golden_json("rounded_d8_p8.json")["constants"];
  REQUIRE(constants.size() == 64);
  for (const int pos_dim : {4, 8, 16, 32}) {
    const DynamicEncoder encoder(256, pos_dim, rounded_options);
    for (int length = 0; length <= pos_dim; ++length) {
      const auto& golden = constants[std::to_string(pos_dim) + "," + std::to_string(length)];
      INFO("pos_dim " << pos_dim << ", L " << length);
      const std::string token(static_cast<std::size_t>(length), 'a');
      const Eigen::VectorXf code = encoder.encode(token);
      const float lit = golden["lit"], unlit = golden["unlit"];
      CHECK(static_cast<int>((code.array() == unlit).count()) == encoder.code_dim() - length);
      for (const int cell : encoder.cells(token)) {
        CHECK(code[cell] == lit);
        CHECK(kronecker::detail::bit_cast<std::uint32_t>(code[cell]) ==
              std::stoul(golden["lit_bits"].get<std::string>(), nullptr, 16) << 16);
      }
      CHECK(kronecker::detail::bit_cast<std::uint32_t>(code[encoder.code_dim() - 1]) ==
            std::stoul(golden["unlit_bits"].get<std::string>(), nullptr, 16) << 16);
      CHECK(encoder.encode_all(std::vector{token}).row(0).transpose() == code);
      CHECK(encoder.decode(code) == token);
      CHECK(encoder.scale(length) == lit - unlit);  // which is exact
    }
  }
}

TEST_CASE("a rounded code's values are rounded once") {
  // Rounded to float32 first, each would lie between two numbers of bfloat16, and go to the other one. The
  // values are those of 200-bit arithmetic, of D = 4096.
  struct Case {
    int length;
    float epsilon, lit;
  };
  for (const Case& c : {Case{12, 0x1.f051a6p-9f, 14.8125f},      // of 14.843749792791402
                        Case{3, 0x1.32665cp-9f, 32.25f},         // of 32.125000994094887
                        Case{15, 0x1.b7cf4cp-8f, 11.5625f},      // of 11.531250261669371
                        Case{14, 0x1.3d6262p-10f, 15.8125f}}) {  // of 15.843749706568800
    CodeOptions options = rounded_options;
    options.epsilon = c.epsilon;
    const KroneckerEncoder<256, 16> encoder(options);
    CHECK(encoder.encode(std::string(static_cast<std::size_t>(c.length), 'a')).maxCoeff() == c.lit);
  }
}

TEST_CASE(
    "rounded codes of all sizes and options are the definition's to half a step of bfloat16, and decode") {
  std::mt19937 random(8);
  for (int round = 0; round < 300; ++round) {
    const int char_dim = round < 4 ? (round % 2 ? 2 : 256) : 2 + static_cast<int>(random() % 255);
    const int pos_dim = round < 4 ? (round / 2 ? 1 : 255) : 1 + static_cast<int>(random() % 255);
    const float epsilon = std::array{0.0f, 1e-6f, 1e-3f, 1.0f, 1e30f, 3e38f}[random() % 6];
    const CodeOptions options{random() % 2 == 0, random() % 2 == 0, epsilon, rounded_options.rounding};
    const DynamicEncoder encoder(char_dim, pos_dim, options);
    const std::string token =
        random_bytes(random, char_dim, static_cast<int>(random() % static_cast<unsigned>(pos_dim + 1)));
    INFO("char_dim " << char_dim << ", pos_dim " << pos_dim << ", L " << token.size());
    const Eigen::VectorXd code = encoder.encode(token).cast<double>();
    const Eigen::VectorXd expected = test_support::code_by_definition(token, char_dim, pos_dim, options);
    // Below 2^-126 the numbers of bfloat16 are 2^-133 apart.
    CHECK(
        ((code - expected).cwiseAbs().array() <= 0x1.00001p-8 * expected.array().abs().max(0x1p-126)).all());
    CHECK(encoder.decode(encoder.encode(token)) == token);
  }
}

TEST_CASE("a code times weights is the factor times the sum of the lit rows and the row of the length") {
  std::mt19937 random(9);
  for (const auto& [mode, exact] : modes())
    for (const auto rounding : {kronecker::CodeRounding::exact, kronecker::CodeRounding::bfloat16}) {
      CodeOptions options = exact;
      options.rounding = rounding;
      const KroneckerEncoder<16, 8> encoder(options);
      const bool is_rounded = rounding == kronecker::CodeRounding::bfloat16;
      CHECK(encoder.centers_rows() == (options.z_normalize && !is_rounded));
      CHECK(encoder.has_length_rows() == (options.z_normalize && is_rounded));
      Eigen::VectorXd weights = Eigen::VectorXd::Random(encoder.code_dim());
      if (encoder.centers_rows()) weights.array() -= weights.mean();
      for (int length = 0; length <= 8; ++length) {
        const std::string token = random_bytes(random, 16, length);
        double sum = encoder.length_row_factor(length) * weights.mean();
        for (const int cell : encoder.cells(token)) sum += weights[cell];
        const Eigen::VectorXd code = encoder.encode(token).cast<double>();
        INFO("mode " << mode << ", rounded " << is_rounded << ", L " << length);
        CHECK(std::abs(static_cast<double>(encoder.scale(length)) * sum - code.dot(weights)) <
              1e-6 * code.cwiseAbs().dot(weights.cwiseAbs()) + 1e-30);
        CHECK((encoder.length_row_factor(length) != 0) == (encoder.has_length_rows() && length > 0));
      }
    }
  CHECK(message_of<std::out_of_range>([] {
          KroneckerEncoder<256, 16>(rounded_options).length_row_factor(17);
        }) == "a token of 17 bytes has no scale: lengths are 0 to pos_dim 16");
  CHECK_THROWS_AS((KroneckerEncoder<256, 16>().length_row_factor(-1)), std::out_of_range);
}

TEST_CASE("options are equal if all of them are") {
  CHECK(CodeOptions{} == CodeOptions{true, true, 1e-6f, kronecker::CodeRounding::exact});
  CHECK(CodeOptions{} != rounded_options);
  CHECK(CodeOptions{} != CodeOptions{.epsilon = 1e-5f});
  CHECK(CodeOptions{} != CodeOptions{.z_normalize = false});
  CHECK(CodeOptions{} != CodeOptions{.length_normalize = false});
}

TEST_CASE("every token of the real vocabularies that fits decodes to itself, in every mode") {
  std::set<std::string> tokens;
  for (const auto& file : test_support::real_token_files())
    for (const std::string& token : test_support::read_token_file(file)) tokens.insert(token);
  for (const auto& [mode, options] : modes()) {
    const KroneckerEncoder<> encoder(options);
    const auto longest = static_cast<std::size_t>(encoder.pos_dim());
    std::size_t lost = 0;
    for (const std::string& token : tokens)
      if (token.size() <= longest && encoder.decode(encoder.encode(token)) != token) ++lost;
    INFO("mode " << mode);
    CHECK(lost == 0);
  }
}

TEST_CASE("a batch of codes is the codes, row by row") {
  const std::vector<std::string> tokens = {"the", "", " quick", "\xff\x00\x80"};
  const KroneckerEncoder<256, 8> encoder;
  const auto codes = encoder.encode_all(tokens);
  REQUIRE(codes.rows() == 4);
  REQUIRE(codes.cols() == encoder.code_dim());
  for (std::size_t i = 0; i < tokens.size(); ++i)
    CHECK(codes.row(static_cast<Eigen::Index>(i)).transpose() == encoder.encode(tokens[i]));
  CHECK(encoder.encode_all({}).rows() == 0);
  CHECK(encoder.encode_all({}).cols() == encoder.code_dim());
}

TEST_CASE("the published cosines of word pairs come out") {
  const KroneckerEncoder<> encoder;
  const auto pairs = test_support::golden_json("edit_distance.json")["pairs"];
  REQUIRE(pairs.size() == 46);
  int equal = 0;
  for (const auto& pair : pairs) {
    const float cosine =
        encoder.cosine(pair["anchor"].get<std::string>(), pair["variant"].get<std::string>());
    const std::string published = pair["kron_cos"];
    char rounded[16];
    std::snprintf(rounded, sizeof rounded, "%.4f", static_cast<double>(cosine));
    INFO(pair["anchor"] << " and " << pair["variant"] << ": " << cosine << ", published " << published);
    if (rounded == published) ++equal;
    CHECK(std::abs(static_cast<double>(cosine) - std::stod(published)) < 1e-4);
  }
  CHECK(equal == 43);
}

TEST_CASE("the cosine in closed form is that of the dense codes") {
  std::mt19937 random(11);
  for (int round = 0; round < 400; ++round) {
    const int char_dim = 2 + static_cast<int>(random() % 40);
    const int pos_dim = 1 + static_cast<int>(random() % 40);
    CodeOptions options = modes()[random() % 4].second;
    if (round % 2 == 1) options.rounding = rounded_options.rounding;
    const DynamicEncoder encoder(char_dim, pos_dim, options);
    const std::string a = random_bytes(random, char_dim, static_cast<int>(random() % 60));
    const std::string b = random_bytes(random, char_dim, static_cast<int>(random() % 60));
    const Eigen::VectorXd code_a = encoder.encode(a).cast<double>(),
                          code_b = encoder.encode(b).cast<double>();
    const double norms = code_a.norm() * code_b.norm();
    const double expected = norms == 0 ? 0 : code_a.dot(code_b) / norms;
    INFO("char_dim " << char_dim << ", pos_dim " << pos_dim << ", sizes " << a.size() << " and " << b.size());
    CHECK(std::abs(static_cast<double>(encoder.cosine(a, b)) - expected) < 1e-6);
  }
}

TEST_CASE("the cosine with an empty token is zero, and with itself one") {
  const KroneckerEncoder<> encoder;
  CHECK(encoder.cosine("", "a") == 0);
  CHECK(encoder.cosine("", "") == 0);
  CHECK(encoder.cosine("word", "word") == 1);
  for (const std::string token : {"a", "word", "of sixteen bytes"})
    CHECK(KroneckerEncoder<>(rounded_options).cosine(token, token) == 1);
}

TEST_CASE("scale is the factor of the definition") {
  for (const auto& [mode, options] : modes()) {
    const KroneckerEncoder<256, 16> encoder(options);
    CHECK(encoder.scale(0) == 0);
    for (int length = 1; length <= 16; ++length) {
      const Eigen::VectorXd code = test_support::code_by_definition(
          std::string(static_cast<std::size_t>(length), 'a'), 256, 16, options);
      // A lit and an unlit cell are a_L apart.
      CHECK(relative_error(static_cast<double>(encoder.scale(length)), code.maxCoeff() - code.minCoeff()) <
            1e-6);
    }
    CHECK(message_of<std::out_of_range>([&, &e = encoder] { e.scale(17); }) ==
          "a token of 17 bytes has no scale: lengths are 0 to pos_dim 16");
    CHECK(message_of<std::out_of_range>([&, &e = encoder] { e.scale(-1); }) ==
          "a token of -1 bytes has no scale: lengths are 0 to pos_dim 16");
  }
}

TEST_CASE("sizes are fixed by the type, given at run time, or both if they agree") {
  CHECK(KroneckerEncoder<>().code_dim() == 8192);
  CHECK(KroneckerEncoder<256, 16>(256, 16).code_dim() == 4096);
  CHECK(KroneckerEncoder<Eigen::Dynamic, 4>(128, 4).code_dim() == 512);
  const KroneckerEncoder encoder(100, 7, {.z_normalize = false});
  CHECK(encoder.char_dim() == 100);
  CHECK(encoder.pos_dim() == 7);
  CHECK(encoder.code_dim() == 700);
  CHECK_FALSE(encoder.options().z_normalize);
  CHECK(encoder.options().length_normalize);
}

TEST_CASE("sizes and options out of range are refused by name") {
  const auto message = [](int char_dim, int pos_dim, CodeOptions options = {}) {
    return message_of<std::invalid_argument>([&] { DynamicEncoder(char_dim, pos_dim, options); });
  };
  CHECK(message(300, 8) == "char_dim 300 is outside 2 to 256");
  CHECK(message(1, 8) == "char_dim 1 is outside 2 to 256");
  CHECK(message(256, 0) == "pos_dim 0 is outside 1 to 255");
  CHECK(message(256, 256) == "pos_dim 256 is outside 1 to 255");
  CHECK(message(256, 8, {.epsilon = -1.0f}) == "epsilon -1 is not a finite number >= 0");
  CHECK(message(256, 8, {.epsilon = std::numeric_limits<float>::infinity()}) ==
        "epsilon inf is not a finite number >= 0");
  CHECK(message(256, 8, {.epsilon = std::numeric_limits<float>::quiet_NaN()})
            .ends_with("is not a finite number >= 0"));
  CHECK(message_of<std::invalid_argument>([] { KroneckerEncoder<256, 16>(256, 32); }) ==
        "pos_dim 32 is not the 16 that the encoder's type fixes");
}

TEST_CASE("a byte outside the alphabet is named with its position") {
  const KroneckerEncoder encoder(128, 4);
  const std::string expected = "byte 200 at position 1 is outside the alphabet of char_dim 128";
  CHECK(message_of<std::invalid_argument>([&] { encoder.encode("a\xc8"); }) == expected);
  CHECK(message_of<std::invalid_argument>([&] { encoder.cells("a\xc8"); }) == expected);
  CHECK(message_of<std::invalid_argument>([&] { encoder.cosine("abc", "a\xc8"); }) == expected);
  const std::vector<std::string> tokens = {"ok", "a\xc8"};
  CHECK(message_of<std::invalid_argument>([&] { encoder.encode_all(tokens); }) ==
        "token at index 1: " + expected);
  CHECK_THROWS_AS(KroneckerEncoder(255, 4).encode("\xff"), std::invalid_argument);
  CHECK_NOTHROW(KroneckerEncoder(255, 4).encode("\xfe"));
  CHECK(encoder.encode("abcd\xc8").maxCoeff() > 0);  // beyond pos_dim it is not encoded
}

TEST_CASE("what is not a code does not decode") {
  const KroneckerEncoder encoder(4, 3);
  const auto message = [&](const Eigen::VectorXf& code) {
    return message_of<std::invalid_argument>([&] { encoder.decode(code); });
  };
  CHECK(message(Eigen::VectorXf::Zero(11)) == "a code of 11 values cannot be decoded: code_dim is 12");
  Eigen::VectorXf code = Eigen::VectorXf::Zero(12);
  CHECK(encoder.decode(code).empty());
  code[1 * 3 + 2] = 1;
  CHECK(message(code) == "not a code: 1 positions are lit, but not position 0");
  code[0 * 3 + 2] = 1;
  CHECK(message(code) == "not a code: position 2 is lit for byte 0 and for byte 1");
  code[5] = std::numeric_limits<float>::quiet_NaN();
  CHECK(message(code) == "the code's value at cell 5 is not finite");
}
