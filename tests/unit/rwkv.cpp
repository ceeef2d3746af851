#include "catch.hpp"
#include "scratch.hpp"

#include <kronecker/shown_text.hpp>
#include <kronecker/vocabularies/rwkv.hpp>

#include <filesystem>
#include <optional>
#include <string>

using kronecker::FileError;
using kronecker::load_rwkv;
using kronecker::Vocabulary;
using kronecker::detail::python_literal;

namespace {

const auto rwkv_file = test_support::scratch_path() / "rwkv_vocab.txt";

Vocabulary load_rwkv_content(const std::string& content) {
  test_support::write_content(rwkv_file, content);
  return load_rwkv(rwkv_file);
}

std::string rwkv_message(const std::string& content) {
  const std::string what = message_of<FileError>([&] { load_rwkv_content(content); });
  REQUIRE(what.starts_with(rwkv_file.generic_string() + ": "));
  return what.substr(rwkv_file.generic_string().size() + 2);
}

}  // namespace

// The values are Python's own: ast.literal_eval, of a text .encode().
TEST_CASE("Python's literals of text and bytes are read") {
  const std::string nul(1, '\0');
  CHECK(python_literal("''") == "");
  CHECK(python_literal("' the'") == " the");
  CHECK(python_literal("\"it's\"") == "it's");
  CHECK(python_literal(R"('it\'s')") == "it's");
  CHECK(python_literal("'\xC3\xA9'") == "\xC3\xA9");
  CHECK(python_literal(R"('\x00\0')") == nul + nul);
  CHECK(python_literal(R"('\a\b\f\n\r\t\v\\\"')") == "\a\b\f\n\r\t\v\\\"");
  CHECK(python_literal(R"('\xe9\u00e9\u2581\U0001f600')") == "\xC3\xA9\xC3\xA9\xE2\x96\x81\xF0\x9F\x98\x80");
  CHECK(python_literal(R"(b'\xe4\xb8\xAD')") == "\xE4\xB8\xAD");
  CHECK(python_literal(R"(b"'\n")") == "'\n");

  for (const std::string none : {"",
                                 "'",
                                 "b'",
                                 "a",
                                 "'a",
                                 "a'",
                                 "'a\"",
                                 "'a'b'",
                                 R"('\')",
                                 R"('\\\')",
                                 R"('\x1')",
                                 R"('\x1g')",
                                 R"('\q')",
                                 R"('\01')",
                                 R"('\ud800')",
                                 R"('\U00110000')",
                                 R"('\N{DIGIT ONE}')",
                                 R"(b'\u0041')",
                                 "u'a'",
                                 "'\\\n'"}) {
    CAPTURE(none);
    CHECK(python_literal(none) == std::nullopt);
  }
}

TEST_CASE("an RWKV vocabulary gives the bytes of each id") {
  for (const std::string end : {"\n", "\r\n"}) {
    const Vocabulary vocabulary = load_rwkv_content("1 '\\x00' 1" + end + "2 ' the' 4" + end +
                                                    "3 b'\\xe4\\xb8' 2" + end + end + "5 ' ' 1");
    CHECK(vocabulary.size() == 6);
    CHECK(vocabulary.bytes(0).empty());
    CHECK(vocabulary.bytes(1) == std::string(1, '\0'));
    CHECK(vocabulary.bytes(2) == " the");
    CHECK(vocabulary.bytes(3) == "\xE4\xB8");
    CHECK(vocabulary.bytes(4).empty());
    CHECK(vocabulary.bytes(5) == " ");
    CHECK_FALSE(vocabulary.is_special(1));
  }
}

TEST_CASE("a line that is not an id, a literal and its size is refused with its number") {
  for (const std::string line : {"2", "2 \"a\"", "2 \"a\" ", "2 \"a\" 2", "2 \"a\" 1x", "-2 \"a\" 1", "2 a 1",
                                 "\"a\" 1", "2  \"a\" 1", "99999999999999999999 \"a\" 1"}) {
    CHECK(rwkv_message("1 'b' 1\n" + line + "\n") ==
          "line 2: expected an id, a Python literal and the number of its bytes, found " +
              kronecker::quoted_text(line));
  }
  CHECK(rwkv_message("2 '\\xe9' 1\n") ==
        R"(line 1: expected an id, a Python literal and the number of its bytes, found '2 \'\\xe9\' 1')");
  CHECK(rwkv_message("1 'b' 1\n1 'c' 1\n") == "line 2: the id 1 is already that of 'b'");
  CHECK(rwkv_message("262144 'b' 1\n") ==
        "line 1: the id 262144 is not below 262144, the limit for a file of this size");
  CHECK(rwkv_message("\n") == "the file has no tokens");
  CHECK(rwkv_message("IQ== 0\n") == "expected an RWKV vocabulary, found tiktoken ranks");
}
