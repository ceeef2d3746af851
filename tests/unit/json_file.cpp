#include "catch.hpp"

#include <kronecker/vocabularies/json_file.hpp>

using kronecker::detail::name_of_settings;

TEST_CASE("files of settings are told by the keys of their outermost object") {
  CHECK(name_of_settings("file", R"({"a": {"weight_map": 1}, "tokenizer_class": "X", "eos_token": "y"})") ==
        "a tokenizer_config.json");
  CHECK(name_of_settings("file", R"({"model_type": "llama", "transformers_version": "4"})") ==
        "a config.json");
  CHECK(name_of_settings("file", R"({"pad_token": "", "cls_token": ""})") == "a special_tokens_map.json");
  CHECK(name_of_settings("file", R"({"the": 1, "b": [{"model_type": 1}]})").empty());
}
