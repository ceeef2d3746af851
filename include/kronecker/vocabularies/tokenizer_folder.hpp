#pragma once

/// The tokenizer's file in the folder of a model, as people download it.

#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// Names that tokenizers' files have, in the order in which they are looked for. Where a vocab.json lies
/// beside a SentencePiece model, the ids of the model are the former's.
inline constexpr std::array<std::string_view, 8> tokenizer_file_names{
    "tokenizer.json",  "tekken.json",  "vocab.json", "encoder.json",
    "tokenizer.model", "spiece.model", "spm.model",  "sentencepiece.bpe.model"};

/// Endings of such files, which count if a folder has one of them.
inline constexpr std::array<std::string_view, 3> tokenizer_file_endings{".tiktoken", "_vocab_v20230424.txt",
                                                                        ".gguf"};

/// The names of the files in `folder` that end so, sorted; of a GGUF model in parts the first, which has the
/// metadata.
inline std::vector<std::filesystem::path> files_that_end(const std::filesystem::path& folder,
                                                         std::string_view ending) {
  std::vector<std::filesystem::path> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::filesystem::path name = entry->path().filename();
    if (path_text(name).ends_with(ending) && !entry->is_directory(error)) names.push_back(name);
  }
  if (error) fail<FileError>(folder, ": cannot list the folder: ", error.message());
  std::sort(names.begin(), names.end());
  const std::string first = names.empty() ? std::string() : path_text(names[0]);
  const std::size_t part = first.find("-00001-of-");
  if (part == first.npos) return names;
  const std::string model = first.substr(0, part + 2);  // with the number's first digit
  const auto is_other = [&](const auto& name) { return !path_text(name).starts_with(model); };
  names.erase(names.begin() + 1, std::find_if(names.begin() + 1, names.end(), is_other));
  return names;
}

/// The tokenizer's file in `folder`. Throws FileError if there is none, or several of one kind.
inline std::filesystem::path tokenizer_file_in(const std::filesystem::path& folder) {
  for (const std::string_view name : tokenizer_file_names)
    if (std::error_code error; std::filesystem::exists(folder / name, error)) return folder / name;
  for (const std::string_view ending : tokenizer_file_endings) {
    const std::vector<std::filesystem::path> names = files_that_end(folder, ending);
    if (names.size() == 1) return folder / names.front();
    if (names.size() > 1)
      fail<FileError>(folder, ": the folder has ", names.size(), " files that end in ", ending, ", '",
                      names[0], "' and '", names[1], "' among them: name one of them");
  }
  std::string looked_for;
  for (const std::string_view name : tokenizer_file_names) looked_for.append(name).append(", ");
  fail<FileError>(folder, ": the folder has no tokenizer's file: looked for ", looked_for,
                  "and for one file *.tiktoken, *_vocab_v20230424.txt or *.gguf");
}

}  // namespace detail

}  // namespace KRONECKER_NAMESPACE
