#pragma once

/// What misspellings and unseen words do to a trained model.

#include "model.hpp"

#include <fmt/core.h>
#include <kronecker/kronecker.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
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
    std::vector<Prompt> clean, changed;
    for (const auto& pair : pairs) {
      clean.push_back({pair[1], {}});
      changed.push_back({pair[2], {}});
    }
    const NextTokens of_clean = next_tokens(clean), of_changed = next_tokens(changed);
    const Tensor clean_log = torch::log_softmax(of_clean.logits, 1),
                 changed_log = torch::log_softmax(of_changed.logits, 1);
    const Tensor kept = (of_clean.likeliest() == of_changed.likeliest()).to(torch::kDouble);
    const Tensor divergence = (clean_log.exp() * (clean_log - changed_log)).sum(1);
    const Tensor cosine = torch::cosine_similarity(of_clean.hidden, of_changed.hidden, 1);

    struct Sums {
      double count = 0, kept = 0, divergence = 0, cosine = 0;
    };
    std::map<std::string, Sums> categories;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const auto row = static_cast<std::int64_t>(i);
      for (const std::string& category : {pairs[i][0].get<std::string>(), std::string("all")}) {
        Sums& sums = categories[category];
        sums.count += 1;
        sums.kept += kept[row].item<double>();
        sums.divergence += divergence[row].item<double>();
        sums.cosine += cosine[row].item<double>();
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
    std::vector<Prompt> misspelled, unseen;
    for (const auto& prompt : prompts) {
      misspelled.push_back({prompt.at("misspelled_ids"), {}});
      if (prompt.contains("unseen")) unseen.push_back(with_unseen_word(prompt));
    }
    const std::vector<std::string> of_misspelled = continue_all(misspelled), of_unseen = continue_all(unseen);
    auto misspelled_text = of_misspelled.begin(), unseen_text = of_unseen.begin();
    for (const auto& prompt : prompts) {
      const auto normal = prompt.at("normal").get<std::string>();
      const auto changed = prompt.at("misspelled").get<std::string>();
      const std::string& text = *misspelled_text++;
      const auto words = words_of(changed), original = words_of(normal);
      const bool is_echoed = std::any_of(words.begin(), words.end(), [&](const std::string& word) {
        return std::find(original.begin(), original.end(), word) == original.end() &&
               text.find(word) != text.npos;
      });
      add(result, "misspelled", changed, text, is_echoed);
      if (!prompt.contains("unseen")) continue;
      const auto word = prompt["unseen"].get<std::string>();
      const std::string& after = *unseen_text++;
      add(result, "unseen", normal, after, lower_case(after).find(word) != after.npos);
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

  /// Of the last position of each prompt: logits, (prompts, V), and hidden states, (prompts, d_model).
  struct NextTokens {
    Tensor logits, hidden;
    Tensor likeliest() const { return logits.argmax(1); }
  };

  /// All prompts at once. What is behind the end of a shorter one changes nothing: attention is causal.
  NextTokens next_tokens(const std::vector<Prompt>& prompts) {
    const torch::NoGradGuard no_gradient;
    std::size_t length = 0;
    for (const Prompt& prompt : prompts) length = std::max(length, prompt.ids.size());
    if (length > static_cast<std::size_t>(model_->context()))
      throw std::invalid_argument(fmt::format("a prompt of {} tokens does not fit into the context of {}",
                                              length, model_->context()));
    std::vector<std::int64_t> ids(prompts.size() * length), last;
    Overrides overrides;
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      const std::size_t first = i * length;
      std::copy(prompts[i].ids.begin(), prompts[i].ids.end(),
                ids.begin() + static_cast<std::ptrdiff_t>(first));
      last.push_back(static_cast<std::int64_t>(first + prompts[i].ids.size() - 1));
      for (const auto& [position, bytes] : prompts[i].overrides) overrides[first + position] = bytes;
    }
    const Tensor input = torch::tensor(ids).view({-1, static_cast<std::int64_t>(length)}).to(device_);
    const Tensor hidden = model_->hidden(input, overrides).flatten(0, 1);
    const Tensor last_hidden = hidden.index_select(0, torch::tensor(last).to(device_));
    return {model_->tokens->logits(last_hidden).cpu(), last_hidden.cpu()};
  }

  /// What follows each prompt, until the context is full.
  std::vector<std::string> continue_all(std::vector<Prompt> prompts) {
    std::vector<std::string> texts(prompts.size());
    if (prompts.empty()) return texts;
    for (std::size_t step = 0; step < new_tokens; ++step) {
      const Tensor likeliest = next_tokens(prompts).likeliest();
      for (std::size_t i = 0; i < prompts.size(); ++i) {
        if (prompts[i].ids.size() >= static_cast<std::size_t>(model_->context())) continue;
        const auto id = likeliest[static_cast<std::int64_t>(i)].item<std::int64_t>();
        texts[i] += vocabulary_.bytes(static_cast<kronecker::TokenId>(id));
        prompts[i].ids.push_back(static_cast<kronecker::TokenId>(id));
      }
    }
    return texts;
  }

  Gpt model_;
  const kronecker::Vocabulary& vocabulary_;
  torch::Device device_;
};

}  // namespace language_model
