#include "catch.hpp"
#include "scratch.hpp"
#include "token_bytes.hpp"

#include <kronecker/vocabularies/tiktoken.hpp>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

using kronecker::FileError;
using kronecker::load_tiktoken;
using kronecker::TokenText;
using kronecker::Vocabulary;
using test_support::bytes_in;

namespace {

const auto tiktoken_file = test_support::scratch_path() / "ranks.tiktoken";

Vocabulary load_tiktoken_content(const std::string& content,
                                 const std::map<std::string, kronecker::TokenId>& specials = {},
                                 TokenText text = TokenText::raw) {
  std::ofstream(tiktoken_file, std::ios::binary) << content;
  return load_tiktoken(tiktoken_file, specials, text);
}

std::string tiktoken_message(const std::string& content) {
  const std::string what = message_of<FileError>([&] { load_tiktoken_content(content); });
  REQUIRE(what.starts_with(tiktoken_file.generic_string() + ": "));
  return what.substr(tiktoken_file.generic_string().size() + 2);
}

}  // namespace

TEST_CASE("a ranks file gives the bytes of each id") {
  for (const std::string content : {"IQ== 0\nIHRoZQ== 3\n/+A= 1\n", "IQ== 0\r\n\r\nIHRoZQ== 3\r\n/+A= 1"}) {
    const Vocabulary vocabulary = load_tiktoken_content(content);
    CHECK(vocabulary.size() == 4);
    CHECK(vocabulary.bytes(0) == "!");
    CHECK(vocabulary.bytes(1) == "\xFF\xE0");
    CHECK(vocabulary.bytes(2).empty());
    CHECK(vocabulary.bytes(3) == " the");
    CHECK(bytes_in(load_tiktoken_content(content, {}, TokenText::reference), 1) ==
          "\xEF\xBF\xBD\xEF\xBF\xBD");
  }
}

TEST_CASE("special tokens are those that the caller gives") {
  const Vocabulary vocabulary = load_tiktoken_content("IQ== 0\n", {{"<|end|>", 1000}, {"<|start|>", 1}});
  CHECK(vocabulary.size() == 1001);
  CHECK(vocabulary.bytes(1000) == "<|end|>");
  CHECK(vocabulary.is_special(1000));
  CHECK(vocabulary.is_special(1));
  CHECK_FALSE(vocabulary.is_special(0));
  CHECK(message_of<std::invalid_argument>([] {
          load_tiktoken_content("IQ== 0\n", {{"<s>", -1}});
        }) == "the special token '<s>' has the negative id -1");
  CHECK(message_of<std::invalid_argument>([] {
          load_tiktoken_content("IQ== 0\n", {{"<s>", 0}});
        }) == "the special token '<s>' has the id 0, which is that of another token");
  CHECK(message_of<std::invalid_argument>([] {
          load_tiktoken_content("IQ== 0\n", {{"<s>", 1}, {"<t>", 1}});
        }) == "the special token '<t>' has the id 1, which is that of another token");
}

TEST_CASE("ids that are of no token are noted") {
  const Vocabulary whole = load_tiktoken_content("IQ== 0\n");
  CHECK(whole.notes().empty());
  const Vocabulary vocabulary = load_tiktoken_content("IQ== 0\nIg== 2\n", {{"<|end|>", 128009}});
  CHECK(vocabulary.notes() ==
        std::vector<std::string>{"ids without a token are read as empty ones: 128007 of 128010, "
                                 "from 1 to 128008"});
  CHECK(message_of<std::invalid_argument>([] {
          load_tiktoken_content("IQ== 0\n", {{"<s>", 2000000000}});
        }) ==
        "the special token '<s>' has the id 2000000000, which is not below 262144, the limit for a file of "
        "this size");
}

TEST_CASE("an equals sign alone is a token without bytes") {
  CHECK(load_tiktoken_content("IQ== 0\n= 1\n").size() == 2);
  CHECK(bytes_in(load_tiktoken_content("IQ== 0\n= 1\n"), 1).empty());
}

TEST_CASE("a line that is not base64 and a rank is refused with its number") {
  const auto refused = [](const std::string& line) {
    return "line 2: expected base64, a space and a rank, found '" + line + "'";  // as it is shown
  };
  for (const std::string line :
       {"IQ==", "IQ== ", "IQ==  1", "IQ== -1", "IQ== 1x", "IQ== 99999999999999999999", " 1", "IQ= 1", "IQ 1",
        "I=== 1", "==== 1", "I=Q= 1", "IR== 1", "IQI= IQ== 1", "/+B= 1", "I_== 1"}) {
    CHECK(tiktoken_message("IQ== 0\n" + line + "\n") == refused(line));
  }
  CHECK(tiktoken_message("IQ== 0\nIQ==\t1\n") == refused("IQ==\\t1"));
  CHECK(tiktoken_message("IQ== 0\n\xFF\n") == refused("\\xFF"));
  CHECK(tiktoken_message("IQ== 0\nIg== 0\n") == "line 2: the id 0 is already that of '!'");
  CHECK(tiktoken_message("IQ== 262144\n") ==
        "line 1: the id 262144 is not below 262144, the limit for a file of this size");
  CHECK(tiktoken_message("\n\n") == "the file has no tokens");
}
