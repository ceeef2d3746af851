/// Makes the data of the study: tokens of a training and a validation text, and of the prompts. A program of
/// its own, because SentencePiece and LibTorch may bring different protobuf libraries, which do not go
/// together.

#include "files.hpp"
#include "program.hpp"
#include "tokenizer.hpp"

#include <fmt/core.h>
#include <CLI/CLI.hpp>
#include <kronecker/files/npy.hpp>
#include <kronecker/files/replace_file.hpp>
#include <kronecker/utf8.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cctype>

namespace {

namespace fs = std::filesystem;

std::size_t first_bad_byte(std::string_view text) {
  std::string_view rest = text;
  while (!rest.empty() && kronecker::read_code_point(rest).length > 0)
    rest.remove_prefix(kronecker::read_code_point(rest).length);
  return text.size() - rest.size();
}

/// Returns the bytes of the text.
std::size_t write_tokens(const fs::path& path, const fs::path& text_path,
                         const examples::Tokenizer& tokenizer) {
  const std::string text = examples::read_file(text_path);
  if (text.empty())
    throw kronecker::FileError(kronecker::shown_text(text_path.string()) + ": the text is empty");
  if (const std::size_t bad = first_bad_byte(text); bad < text.size())
    throw kronecker::FileError(
        fmt::format("{}: not UTF-8 at byte {}", kronecker::shown_text(text_path.string()), bad));
  const std::vector<kronecker::TokenId> ids = tokenizer.encode(text);
  kronecker::write_npy(path, std::span<const kronecker::TokenId>(ids), std::array{ids.size()});
  fmt::print("{}: {} tokens\n", kronecker::shown_text(path.string()), ids.size());
  return text.size();
}

void write_json(const fs::path& path, const nlohmann::json& value) {
  const std::string text = value.dump() + "\n";
  kronecker::replace_file(path, [&](std::ostream& file) { file << text; });
}

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// The prompts with their tokens. An unseen word, whose spelling in the prompt may have other capitals, is
/// cut out, and where it was is noted: a Kronecker embedding gets it as one position.
nlohmann::json with_tokens(const nlohmann::json& prompts, const examples::Tokenizer& tokenizer) {
  nlohmann::json result;
  for (const auto& pair : prompts.at("pairs"))
    result["pairs"].push_back({pair[0], tokenizer.encode(pair[1].get<std::string>()),
                               tokenizer.encode(pair[2].get<std::string>())});
  for (nlohmann::json prompt : prompts.at("generation")) {
    const auto normal = prompt.at("normal").get<std::string>();
    prompt["normal_ids"] = tokenizer.encode(normal);
    prompt["misspelled_ids"] = tokenizer.encode(prompt.at("misspelled").get<std::string>());
    if (prompt.contains("unseen")) {
      const auto word = prompt["unseen"].get<std::string>();
      const std::size_t at = lower_case(normal).find(word);
      if (at == normal.npos) throw std::invalid_argument(fmt::format("'{}' is not in '{}'", word, normal));
      const bool is_after_space = at > 0 && normal[at - 1] == ' ';  // which the word brings itself
      prompt["ids_before"] = tokenizer.encode(normal.substr(0, at - (is_after_space ? 1 : 0)));
      prompt["ids_after"] = tokenizer.encode(normal.substr(at + word.size()));
    }
    result["generation"].push_back(prompt);
  }
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App program("Makes the data on which language_model trains and is evaluated.", "language_model_data");
  fs::path text, validation, tokenizer_path = EXAMPLE_DATA_DIR "/english_8k.model", output;
  program.add_option("TEXT", text, "UTF-8 text to train on")->required();
  program.add_option("--validation", validation, "UTF-8 text to evaluate on")->type_name("FILE")->required();
  program.add_option("--tokenizer", tokenizer_path, "SentencePiece model")
      ->type_name("FILE")
      ->capture_default_str();
  program.add_option("--output", output, "Folder for train.npy, validation.npy, prompts.json and text.json")
      ->type_name("FOLDER")
      ->required();
  return examples::run_program(program, argc, argv, [&] {
    const examples::Tokenizer tokenizer(tokenizer_path);
    examples::create_folder(output);
    const std::size_t validation_bytes = write_tokens(output / "validation.npy", validation, tokenizer);
    write_tokens(output / "train.npy", text, tokenizer);
    const auto prompts = nlohmann::json::parse(examples::read_file(LANGUAGE_MODEL_DIR "/prompts.json"));
    write_json(output / "prompts.json", with_tokens(prompts, tokenizer));
    write_json(output / "text.json", {{"validation_bytes", validation_bytes}});
    return 0;
  });
}
