#pragma once

/// What misspellings and unseen words do to a trained model.

#include "model.hpp"

#include <fmt/core.h>
#include <kronecker/kronecker.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace language_model {

/// A prompt as the model takes it.
struct Prompt {
  std::vector<kronecker::TokenId> ids;
  Overrides overrides;
};

class PromptEvaluation {
 public:
  PromptEvaluation(Gpt model, const kronecker::Vocabulary& vocabulary, torch::Device device)
      : model_(std::move(model)), vocabulary_(vocabulary), device_(device) {}

  /// Clean and misspelled prompts: how often the likeliest next token stays the same, the divergence of the
  /// next token's distributions in nats, and the cosine of the last hidden states; by category and in all.
  nlohmann::json misspelled_pairs(const nlohmann::json& pairs) {
    struct Sums {
      double count = 0, kept = 0, divergence = 0, cosine = 0;
    };
    std::map<std::string, Sums> categories;
    for (const auto& pair : pairs) {
      const auto [clean, clean_hidden] = next_token({pair[1], {}});
      const auto [changed, changed_hidden] = next_token({pair[2], {}});
      const Tensor clean_log = torch::log_softmax(clean, 0), changed_log = torch::log_softmax(changed, 0);
      for (const std::string& category : {pair[0].get<std::string>(), std::string("all")}) {
        Sums& sums = categories[category];
        sums.count += 1;
        sums.kept += clean.argmax().item<int>() == changed.argmax().item<int>() ? 1 : 0;
        sums.divergence += (clean_log.exp() * (clean_log - changed_log)).sum().item<double>();
        sums.cosine += torch::cosine_similarity(clean_hidden, changed_hidden, 0).item<double>();
      }
    }
    nlohmann::json result;
    for (const auto& [category, sums] : categories)
      result[category] = {{"prompts", sums.count},
                          {"top1_kept", sums.kept / sums.count},
                          {"divergence", sums.divergence / sums.count},
                          {"cosine", sums.cosine / sums.count}};
    return result;
  }

  /// Greedy continuations of misspelled prompts, and of prompts with an unseen word, which a Kronecker
  /// embedding takes as one position: how many repeat a misspelled word, or the unseen word.
  nlohmann::json continuations(const nlohmann::json& prompts) {
    nlohmann::json result = {
        {"misspelled", 0}, {"misspelled_echoed", 0}, {"unseen", 0}, {"unseen_echoed", 0}};
    for (const auto& prompt : prompts) {
      const auto normal = prompt.at("normal").get<std::string>();
      const auto misspelled = prompt.at("misspelled").get<std::string>();
      const std::string text = continuation({prompt.at("misspelled_ids"), {}});
      const auto changed = words_of(misspelled), original = words_of(normal);
      const bool is_echoed = std::any_of(changed.begin(), changed.end(), [&](const std::string& word) {
        return std::find(original.begin(), original.end(), word) == original.end() &&
               text.find(word) != text.npos;
      });
      add(result, "misspelled", misspelled, text, is_echoed);
      if (!prompt.contains("unseen")) continue;
      const auto word = prompt["unseen"].get<std::string>();
      const std::string of_unseen = continuation(with_unseen_word(prompt));
      add(result, "unseen", normal, of_unseen, lower_case(of_unseen).find(word) != of_unseen.npos);
    }
    return result;
  }

 private:
  static constexpr std::size_t new_tokens = 30;

  static void add(nlohmann::json& result, const std::string& kind, const std::string& prompt,
                  const std::string& text, bool is_echoed) {
    result[kind] = result[kind].get<int>() + 1;
    result[kind + "_echoed"] = result[kind + "_echoed"].get<int>() + (is_echoed ? 1 : 0);
    result["texts"].push_back({kind, prompt, text});
  }

  static std::string lower_case(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
  }

  static std::vector<std::string> words_of(const std::string& text) {
    std::istringstream stream(text);
    return {std::istream_iterator<std::string>(stream), {}};
  }

  /// The prompt with its unseen word at one position. A model with a table gets the prompt as it is: it has
  /// no vector for the word.
  Prompt with_unseen_word(const nlohmann::json& prompt) const {
    if (!model_->tokens->takes_overrides()) return {prompt.at("normal_ids"), {}};
    Prompt changed{prompt.at("ids_before"), {}};
    const std::size_t position = changed.ids.size();
    changed.overrides[position] = " " + prompt.at("unseen").get<std::string>();
    changed.ids.push_back(0);  // any
    const std::vector<kronecker::TokenId> rest = prompt.at("ids_after");
    changed.ids.insert(changed.ids.end(), rest.begin(), rest.end());
    return changed;
  }

  /// Logits (V) and hidden state (d_model) at the last position.
  std::pair<Tensor, Tensor> next_token(Prompt prompt) {
    const torch::NoGradGuard no_gradient;
    if (prompt.ids.size() > static_cast<std::size_t>(model_->context()))
      throw std::invalid_argument(fmt::format("a prompt of {} tokens does not fit into the context of {}",
                                              prompt.ids.size(), model_->context()));
    const std::vector<std::int64_t> ids(prompt.ids.begin(), prompt.ids.end());
    const Tensor hidden =
        model_->hidden(torch::tensor(ids).unsqueeze(0).to(device_), prompt.overrides)[0][-1];
    return {model_->tokens->logits(hidden.unsqueeze(0))[0].cpu(), hidden.cpu()};
  }

  std::string continuation(Prompt prompt) {
    std::string text;
    for (std::size_t i = 0; i < new_tokens && prompt.ids.size() < static_cast<std::size_t>(model_->context());
         ++i) {
      const auto id = static_cast<kronecker::TokenId>(next_token(prompt).first.argmax().item<std::int64_t>());
      text += vocabulary_.bytes(id);
      prompt.ids.push_back(id);
    }
    return text;
  }

  Gpt model_;
  const kronecker::Vocabulary& vocabulary_;
  torch::Device device_;
};

}  // namespace language_model
