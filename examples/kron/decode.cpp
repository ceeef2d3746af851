#include "report.hpp"
#include "saved_embedding.hpp"

#include <kronecker/analysis/byte_decoder.hpp>
#include <kronecker/files/npy.hpp>
#include <kronecker/token_sequence.hpp>

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace kron {

/// kron decode: vectors become the bytes whose embeddings are nearest.
class Decode {
 public:
  explicit Decode(CLI::App& tool)
      : parser_(tool.add_subcommand("decode",
                                    "Find the bytes whose embeddings by a saved embedding are nearest to "
                                    "vectors")) {
    parser_->add_option("MODEL", model_, "Saved embedding")->type_name("FILE")->required();
    auto* vectors =
        parser_->add_option("VECTORS", vectors_, ".npy file of (N, d_model) floats; - for standard input")
            ->type_name("FILE");
    parser_
        ->add_option("--string", strings_,
                     "String to embed and decode again, in the vocabulary or not; may be repeated")
        ->type_name("TEXT")
        ->allow_extra_args(false)
        ->excludes(vectors);
    add_json(*parser_, as_json_);
    parser_->footer(
        "examples:\n"
        "  kron decode embedding.kron vectors.npy\n"
        "  kron decode embedding.kron --string \" unfoxlike\" --string kitten");
  }
  const CLI::App* parser() const { return parser_; }

  int run() const {
    if (vectors_.empty() && strings_.empty())
      throw std::invalid_argument("nothing to decode: give VECTORS or --string");
    const SavedEmbedding embedding(model_);
    embedding.visit_widened([&](const auto& widened) {
      const kronecker::ByteDecoder decoder(widened);
      report(decoder.stable_rank(),
             decoder.decode_all(vectors_.empty() ? embedded(widened) : read_vectors(widened)),
             embedding.encoder());
    });
    return 0;
  }

 private:
  template <class Embedding>
  kronecker::RowMajorMatrix<float> embedded(const Embedding& embedding) const {
    return embedding.forward(std::vector<kronecker::TokenOrBytes>(strings_.begin(), strings_.end()));
  }

  template <class Embedding>
  kronecker::RowMajorMatrix<float> read_vectors(const Embedding& embedding) const {
    const auto vectors = kronecker::read_npy_matrix(vectors_ == "-" ? "/dev/stdin" : vectors_);
    if (vectors.cols() != embedding.d_model())
      throw kronecker::FileError(fmt::format("{}: vectors of {} numbers; {} has d_model {}",
                                             shown_name(vectors_), vectors.cols(), shown_name(model_),
                                             embedding.d_model()));
    return vectors;
  }

  void report(double stable_rank, const std::vector<kronecker::DecodedBytes>& decoded,
              const Encoder& encoder) const {
    std::size_t same = 0;
    const auto is_same = [&](std::size_t i) { return decoded[i].bytes == encoder.truncate(strings_[i]); };
    for (std::size_t i = 0; i < strings_.size(); ++i) same += is_same(i) ? 1 : 0;
    if (as_json_) {
      ordered_json all = ordered_json::array();
      for (std::size_t i = 0; i < decoded.size(); ++i) {
        all.push_back({{"bytes", json_bytes(decoded[i].bytes)}, {"cosine", decoded[i].cosine}});
        if (!strings_.empty()) all.back()["string"] = json_bytes(strings_[i]);
        if (!strings_.empty()) all.back()["same"] = is_same(i);
      }
      return print_json({{"stable_rank", stable_rank}, {"decoded", all}});
    }
    for (std::size_t i = 0; i < decoded.size(); ++i)
      print_row(fmt::format("{:>7}  {:.4f}  {}{}", i, decoded[i].cosine, examples::shown(decoded[i].bytes),
                            strings_.empty() || is_same(i) ? "" : ", not " + examples::shown(strings_[i])));
    if (!strings_.empty())
      print_text(0, fmt::format("{} of {} strings came back; the rows' stable rank is {:.1f}", same,
                                strings_.size(), stable_rank));
  }

  CLI::App* parser_;
  std::string model_, vectors_;
  std::vector<std::string> strings_;
  bool as_json_ = false;
};

Command add_decode(CLI::App& tool) { return make_command<Decode>(tool); }

}  // namespace kron
