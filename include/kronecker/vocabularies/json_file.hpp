#pragma once

/// The JSON files that lie in a model's folder, told apart by their keys, so that one which is no vocabulary
/// is refused by name. Needs nlohmann/json 3.11.

#include <kronecker/namespace.hpp>
#include <kronecker/vocabularies/json_events.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>

namespace KRONECKER_NAMESPACE::detail {

/// The keys of a file's outermost object.
class JsonKeys final : public JsonEvents {
 public:
  using JsonEvents::JsonEvents;
  bool contains(std::string_view key) const { return keys_.contains(key); }

 private:
  void on_open(char) override { ++depth_; }
  void on_close() override { --depth_; }
  void on_key(std::string& name) override {
    if (depth_ == 1 && keys_.size() < most) keys_.insert(name);
  }
  void on_text(std::string&) override {}
  void on_number(std::uint64_t) override {}
  void on_other_value(std::string_view) override {}

  static constexpr std::size_t most = 1000;  // files of settings have fewer

  std::set<std::string, std::less<>> keys_;
  std::size_t depth_ = 0;
};

/// What people call a JSON file with settings, or nothing if its keys do not tell.
inline std::string_view name_of_settings(const std::string& path, std::string_view content) {
  struct Name {
    std::string_view key, file;
  };
  constexpr Name names[] = {
      {"weight_map", "a model.safetensors.index.json"},
      {"added_tokens_decoder", "a tokenizer_config.json"},
      {"tokenizer_class", "a tokenizer_config.json"},
      {"model_max_length", "a tokenizer_config.json"},
      {"architectures", "a config.json"},
      {"model_type", "a config.json"},
      {"image_processor_type", "a preprocessor_config.json"},
      {"feature_extractor_type", "a preprocessor_config.json"},
      {"eos_token_id", "a generation_config.json"},
      {"transformers_version", "a generation_config.json"},
      {"eos_token", "a special_tokens_map.json"},
      {"unk_token", "a special_tokens_map.json"},
      {"bos_token", "a special_tokens_map.json"},
      {"cls_token", "a special_tokens_map.json"},
  };
  JsonKeys keys(path);
  keys.read(content);
  for (const Name& name : names)
    if (keys.contains(name.key)) return name.file;
  return {};
}

}  // namespace KRONECKER_NAMESPACE::detail
