#include "torch_and_catch.hpp"

#include <kronecker/integrations/torch.hpp>

#include "golden_embedding.hpp"

#include <cstring>
#include <limits>
#include <sstream>
#include <thread>

using kronecker::CodeOptions;
using kronecker::KroneckerEncoder;
using kronecker::LearnedProjection;
using kronecker::RowMajorMatrix;
using kronecker::Vocabulary;
using kronecker::torch_module::KroneckerEmbedding;
using kronecker::torch_module::TokenTensors;
using test_support::golden_ids;
using test_support::golden_matrix;
using test_support::GoldenEncoder;
using torch::Tensor;

namespace {

Tensor to_tensor(const RowMajorMatrix<float>& matrix) {
  return torch::from_blob(const_cast<float*>(matrix.data()), {matrix.rows(), matrix.cols()}).clone();
}
Tensor golden_tensor(const std::string& name) { return to_tensor(golden_matrix(name)); }

/// (2, 7)
Tensor golden_id_tensor() {
  const auto ids = golden_ids();
  return torch::tensor(std::vector<std::int64_t>(ids.begin(), ids.end())).view({2, 7});
}

KroneckerEmbedding golden_module(CodeOptions options = {}) {
  KroneckerEmbedding module(GoldenEncoder(options), test_support::golden_vocabulary(), 8);
  module->set_projection(LearnedProjection::from_torch(golden_matrix("emb_d8_p8_weight.npy")));
  return module;
}

/// A few tokens over an alphabet of 8 bytes, one empty, and width 5.
KroneckerEmbedding small_module(CodeOptions options = {}) {
  torch::manual_seed(1);
  return KroneckerEmbedding(KroneckerEncoder(8, 3, options),
                            Vocabulary({"\1\2", "", "\3", "\1\2\3", "\7\7\7\7", "\2\2"}), 5);
}

double max_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.sizes() == b.sizes());
  return a.numel() == 0 ? 0 : (a.to(torch::kDouble) - b.to(torch::kDouble)).abs().max().item<double>();
}

bool same_bits(const Tensor& a, const Tensor& b) {
  const Tensor x = a.contiguous(), y = b.contiguous();
  return x.sizes() == y.sizes() && x.dtype() == y.dtype() &&
         std::memcmp(x.data_ptr(), y.data_ptr(), x.nbytes()) == 0;
}

/// Gradient of sum(output * upstream) with respect to `input`.
Tensor gradient_of(const Tensor& output, const Tensor& upstream, const Tensor& input) {
  return torch::autograd::grad({(output * upstream).sum()}, {input})[0];
}

}  // namespace

TEST_CASE("outputs are the reference's, and the library's own embedding's") {
  for (const auto& [name, options] : test_support::modes()) {
    INFO(name);
    KroneckerEmbedding module = golden_module(options);
    const Tensor out = module(golden_id_tensor());
    CHECK(out.sizes() == torch::IntArrayRef({2, 7, 8}));
    CHECK(max_difference(out.view({14, 8}), golden_tensor("emb_d8_p8_out_" + name + ".npy").view({14, 8})) <=
          2e-5);
    const Tensor own = to_tensor(test_support::golden_embedding(options).forward(golden_ids()));
    if (options.z_normalize)  // whose rows are centered
      CHECK(max_difference(out.view({14, 8}), own) <= 2e-6 * own.abs().max().item<double>());
    else
      CHECK(same_bits(out.view({14, 8}).detach(), own));
    module->to(torch::kDouble);
    CHECK(max_difference(module(golden_id_tensor()), out) <= 1e-5);
  }
}

TEST_CASE("ids have any shape and integer type") {
  KroneckerEmbedding module = golden_module();
  const Tensor ids = golden_id_tensor(), out = module(ids);
  for (const auto type : {torch::kByte, torch::kChar, torch::kShort, torch::kInt})
    CHECK(same_bits(module(ids.to(type)), out));
  CHECK(same_bits(module(ids.view({7, 1, 2})), out.view({7, 1, 2, 8})));
  CHECK(same_bits(module(ids.t()), out.transpose(0, 1)));
  CHECK(same_bits(module(ids[0][3]), out[0][3]));
  CHECK(module(torch::empty({0, 4}, torch::kLong)).sizes() == torch::IntArrayRef({0, 4, 8}));
}

TEST_CASE("gradients are the reference's autograd, also in micro-batches and with padding") {
  const Tensor upstream = golden_tensor("emb_d8_p8_G.npy").view({2, 7, 8});
  const Tensor expected = golden_tensor("emb_d8_p8_grad_TT.npy");
  const double tolerance = 5e-5 * expected.abs().max().item<double>();
  KroneckerEmbedding module = golden_module();
  (module(golden_id_tensor()) * upstream).sum().backward();
  CHECK(max_difference(module->projection->rows.grad(), expected.t()) <= tolerance);
  CHECK(module->projection->rows.grad().is_contiguous());
  CHECK(module->projection->rows.is_contiguous());

  module->zero_grad();
  for (int sequence = 0; sequence < 2; ++sequence)
    (module(golden_id_tensor()[sequence]) * upstream[sequence]).sum().backward();
  CHECK(max_difference(module->projection->rows.grad(), expected.t()) <= tolerance);

  const auto columns =
      kronecker::read_npy<std::int64_t>(test_support::golden_path("emb_d8_p8_gradcols_TF.npy"));
  const Tensor values = golden_tensor("emb_d8_p8_gradvals_TF.npy");
  KroneckerEmbedding plain = golden_module({true, false});
  (plain(golden_id_tensor()) * upstream).sum().backward();
  const Tensor found = plain->projection->rows.grad().t();
  const Tensor lit = found.index_select(1, torch::tensor(columns.values));
  CHECK(max_difference(lit, values.sizes() == lit.sizes() ? values : values.t()) <= tolerance);
  CHECK(found.count_nonzero().item<std::int64_t>() == lit.count_nonzero().item<std::int64_t>());
}

TEST_CASE("in double, gradients of embeddings, overrides and logits are the differences of the loss") {
  for (const CodeOptions options : {CodeOptions{}, CodeOptions{true, false}, CodeOptions{false, true}}) {
    KroneckerEmbedding module = small_module(options);
    module->to(torch::kDouble);
    const Tensor weight = module->projection->rows;
    const Tensor ids = torch::tensor({0, 1, 3, 4, 3}, torch::kLong);
    const Tensor states = torch::randn({3, 5}, torch::kDouble).requires_grad_();
    const Tensor upstream = torch::randn({5, 5}, torch::kDouble),
                 of_logits = torch::randn({3, 6}, torch::kDouble);
    const auto loss = [&] {
      return (module(ids) * upstream).sum() + (module->forward(ids, {{2, "\5\6"}}).pow(2) * upstream).sum() +
             (module->logits(states).pow(2) * of_logits).sum();
    };
    const auto gradients = torch::autograd::grad({loss()}, {weight, states});
    for (const auto& [input, gradient] : {std::pair{weight, gradients[0]}, {states, gradients[1]}}) {
      const torch::NoGradGuard no_gradient;
      for (std::int64_t i = 0; i < input.size(0); ++i)
        for (std::int64_t j = 0; j < input.size(1); ++j) {
          constexpr double step = 1e-5;
          input[i][j] += step;
          const double above = loss().item<double>();
          input[i][j] -= 2 * step;
          const double below = loss().item<double>();
          input[i][j] += step;
          CHECK(std::abs((above - below) / (2 * step) - gradient[i][j].item<double>()) <= 1e-7);
        }
    }
  }
}

TEST_CASE("our kernels and torch's operations agree, forward and backward") {
  for (const auto& [name, options] : test_support::modes()) {
    INFO(name);
    KroneckerEmbedding module = golden_module(options), exact = golden_module(options);
    exact->to(torch::kDouble);
    torch::manual_seed(2);
    const Tensor states = torch::randn({130, 8}), upstream = torch::randn({130, 64}),
                 ids = golden_id_tensor();
    const std::map<std::size_t, std::string> overrides{{0, "hello"}, {3, ""}, {13, std::string(20, '\xFF')}};
    const auto run = [&](KroneckerEmbedding& layer, torch::ScalarType type) {
      const Tensor input = states.to(type).requires_grad_();
      const Tensor logits = layer->logits(input), changed = layer->forward(ids, overrides);
      auto results = torch::autograd::grad({(logits * upstream.to(type)).sum() + changed.pow(3).sum()},
                                           {layer->projection->rows, input});
      results.insert(results.end(), {logits, changed});
      return results;
    };
    const auto found = run(module, torch::kFloat), expected = run(exact, torch::kDouble);
    for (std::size_t i = 0; i < found.size(); ++i)
      CHECK(max_difference(found[i], expected[i]) <= 2e-6 * expected[i].abs().max().item<double>());
  }
}

TEST_CASE("rounded codes are the production layer's, forward and in the head") {
  for (const std::string name : {"rounded_d8_p8", "rounded_mean_d8_p8"})
    for (const torch::ScalarType type : {torch::kFloat, torch::kDouble}) {
      const CodeOptions options{.rounding = kronecker::CodeRounding::bfloat16};
      KroneckerEmbedding module(GoldenEncoder(options), test_support::golden_vocabulary(), 8);
      module->set_projection(LearnedProjection::from_torch(golden_matrix(name + "_weight_bf16_as_f32.npy")));
      module->to(type);
      const Tensor table = golden_tensor(name + "_table.npy");
      const double largest = table.abs().max().item<double>();
      CHECK(max_difference(module(torch::arange(64)), table) <= 2e-5 * largest);
      CHECK(max_difference(to_tensor(module->embedding().table()), table) <= 2e-5 * largest);
      const Tensor states = torch::eye(8, type);  // whose logits are the table's columns
      CHECK(max_difference(module->logits(states), table.t()) <= 2e-5 * largest);
    }
}

TEST_CASE("torch's operations give few and many hidden states the same logits and gradients") {
  KroneckerEmbedding module = golden_module();
  module->to(torch::kDouble);
  torch::manual_seed(3);
  const Tensor states = torch::randn({12, 8}, torch::kDouble);  // more than d_model, and in halves
  const Tensor upstream = torch::randn({12, 64}, torch::kDouble), rows = module->projection->rows;
  const Tensor all = module->logits(states);
  const Tensor halves =
      torch::cat({module->logits(states.slice(0, 0, 6)), module->logits(states.slice(0, 6))});
  CHECK(max_difference(all, halves) <= 1e-12 * all.abs().max().item<double>());
  const Tensor expected = gradient_of(halves, upstream, rows);
  CHECK(max_difference(gradient_of(all, upstream, rows), expected) <=
        1e-12 * expected.abs().max().item<double>());
}

TEST_CASE("a head is tied to the weights, and a gain is learned by multiplying its input") {
  KroneckerEmbedding module = golden_module();
  const Tensor states = torch::randn({2, 3, 8});
  const Tensor logits = module->logits(states);
  CHECK(logits.sizes() == torch::IntArrayRef({2, 3, 64}));
  const Tensor table = module(torch::arange(64));
  CHECK(max_difference(logits, states.matmul(table.t())) <= 1e-5 * logits.abs().max().item<double>());
  const Tensor gain = torch::tensor(2.0f).requires_grad_();
  const Tensor slope = gradient_of(module->logits(states * gain), torch::ones_like(logits), gain);
  CHECK(slope.item<double>() == Approx(logits.sum().item<double>()).epsilon(1e-4));
}

TEST_CASE("overrides are the reference's, and are differentiated") {
  KroneckerEmbedding module = golden_module();
  const auto golden = test_support::golden_json("embedding.json");
  for (const auto& entry : golden["config"]["overrides"]) {
    std::map<std::size_t, std::string> overrides;
    for (const auto& [position, bytes] : entry["override_hex"].items())
      overrides[std::stoul(position)] = test_support::from_hex(bytes.get<std::string>());
    const Tensor expected = golden_tensor(entry["file"].get<std::string>()).view({7, 8});
    Tensor out = module->forward(golden_id_tensor()[1], overrides).detach().clone();
    for (const auto& [position, bytes] : overrides) {
      const auto row = static_cast<std::int64_t>(position);
      const bool is_lost_by_reference = !bytes.empty() && expected[row].count_nonzero().item<int>() == 0;
      if (is_lost_by_reference) out[row].zero_();
    }
    CHECK(max_difference(out, expected) <= 2e-5);
  }
  const Tensor ids = golden_id_tensor();
  const Eigen::VectorXf own = module->embedding().embed(" xyz");
  CHECK(max_difference(module->forward(ids, {{9, " xyz"}})[1][2],
                       torch::from_blob(const_cast<float*>(own.data()), {8})) <= 1e-5);
  CHECK_FALSE(torch::equal(
      gradient_of(module->forward(ids, {{9, " xyz"}}), torch::ones({2, 7, 8}), module->projection->rows),
      gradient_of(module(ids), torch::ones({2, 7, 8}), module->projection->rows)));
  CHECK(message_of<std::out_of_range>([&] {
          module->forward(ids, {{14, "x"}});
        }) == "override position 14 is past the end of the 14 tokens");
}

TEST_CASE("torch's AdamW makes the reference's 24 steps") {
  const auto golden = test_support::golden_json("emb_d8_p8_adamw.json");
  const auto ids = kronecker::read_npy<std::int32_t>(test_support::golden_path("emb_d8_p8_adamw_ids.npy"));
  const Tensor targets = golden_tensor("emb_d8_p8_adamw_targets.npy");
  KroneckerEmbedding module = golden_module();
  torch::optim::AdamW optimizer(
      module->parameters(), torch::optim::AdamWOptions(1e-3).betas({0.9, 0.95}).eps(1e-8).weight_decay(0.1));
  for (std::size_t step = 0; step < ids.shape[0]; ++step) {
    const auto first = ids.values.begin() + static_cast<std::ptrdiff_t>(step * ids.shape[1]);
    const Tensor batch =
        torch::tensor(std::vector<std::int64_t>(first, first + static_cast<std::ptrdiff_t>(ids.shape[1])));
    optimizer.zero_grad();
    const Tensor loss = (module(batch) - targets.index_select(0, batch)).pow(2).sum();
    CHECK(loss.item<double>() == Approx(golden["losses"][step].get<double>()).epsilon(1e-5));
    loss.backward();
    optimizer.step();
  }
  CHECK(max_difference(module(torch::arange(64)), golden_tensor("emb_d8_p8_adamw_table_after_24.npy")) <=
        5e-4);
}

TEST_CASE("every change of the weights is seen, and what was read before stays") {
  for (const CodeOptions options : {CodeOptions{}, CodeOptions{true, false}}) {
    KroneckerEmbedding module = golden_module(options);
    const Tensor ids = torch::arange(64), before = module(ids).detach();
    const auto kept = module->embedding();
    const auto is_current = [&] {
      KroneckerEmbedding fresh = golden_module(options);
      fresh->set_projection(module->learned_projection());
      return same_bits(module(ids).detach(), fresh(ids).detach());
    };
    {
      const torch::NoGradGuard no_gradient;
      module->projection->rows.mul_(2);
    }
    CHECK(is_current());
    CHECK(max_difference(module(ids), 2 * before) <= 1e-5);
    module->projection->rows.set_data(torch::randn({8, 2048}).t());  // by columns
    CHECK(is_current());
    const Tensor stack = torch::randn({2, 2048, 8});
    for (int half = 0; half < 2; ++half) {  // of one storage
      module->projection->rows.set_data(stack[half]);
      CHECK(is_current());
    }
    stack[1].mul_(3);
    CHECK(is_current());
    module->projection->rows.data().mul_(2);
    CHECK(is_current());
    module->projection->rows.data_ptr<float>()[5] += 1;
    CHECK(is_current());
    module->projection->rows.data().fill_(0);
    CHECK(module(ids).abs().max().item<double>() == 0);
    module->reset_parameters();
    CHECK(is_current());
    CHECK(max_difference(to_tensor(kept.table()), before) <= 1e-5);
  }
}

TEST_CASE("a module is moved to other types, copied, saved and loaded by torch") {
  KroneckerEmbedding module = golden_module();
  const Tensor ids = golden_id_tensor(), out = module(ids).detach();
  const auto copy =
      std::dynamic_pointer_cast<kronecker::torch_module::KroneckerEmbeddingImpl>(module->clone());
  module->to(torch::kDouble);
  CHECK(module(ids).scalar_type() == torch::kDouble);
  module->to(torch::kFloat);
  CHECK(same_bits(module(ids).detach(), out));
  for (const torch::ScalarType type : {torch::kBFloat16, torch::kHalf}) {
    module->to(type);
    CHECK(module(ids).scalar_type() == type);
    const Tensor rounded = module(ids).detach();
    module->to(torch::kDouble);  // of the same numbers
    const double unit_roundoff = type == torch::kHalf ? 0x1p-11 : 0x1p-9;
    CHECK(max_difference(module(ids), rounded) <= 1.01 * unit_roundoff * out.abs().max().item<double>());
  }
  CHECK(same_bits(copy->forward(ids).detach(), out));
  std::stringstream file;
  torch::save(copy, file);
  KroneckerEmbedding loaded(GoldenEncoder(), test_support::golden_vocabulary(), 8);
  torch::load(loaded, file);
  CHECK(same_bits(loaded(ids).detach(), out));
  REQUIRE(loaded->named_parameters().size() == 1);
  CHECK(loaded->named_parameters()[0].key() == "projection.rows");
  CHECK(loaded->named_parameters()[0].value().sizes() == torch::IntArrayRef({2048, 8}));
  CHECK(loaded->buffers().empty());
}

TEST_CASE("a new module has the reference's initial weights, by torch's seed") {
  const auto make = [] {
    torch::manual_seed(3);
    return KroneckerEmbedding(KroneckerEncoder<256, 16>(), Vocabulary({"a"}), 64);
  };
  const Tensor weight = make()->projection->rows;
  CHECK(torch::equal(weight, make()->projection->rows));
  CHECK(weight.std().item<double>() * 64 == Approx(1).epsilon(0.01));  // 1 / sqrt(4096)
  CHECK(std::abs(weight.mean().item<double>()) * 64 < 0.01);
}

TEST_CASE("the padding token is zero and learns nothing") {
  const auto vocabulary = test_support::golden_vocabulary();
  for (const std::int64_t padding : {2, -62}) {
    KroneckerEmbedding module(GoldenEncoder(), vocabulary,
                              torch::nn::EmbeddingOptions(64, 8).padding_idx(padding));
    const Tensor ids = torch::tensor({2, 2}, torch::kLong);
    CHECK(module(ids).abs().max().item<float>() == 0);
    module(ids).sum().backward();
    CHECK(module->projection->rows.grad().abs().max().item<float>() == 0);
    CHECK(module(torch::tensor({3}, torch::kLong)).abs().max().item<float>() > 0);
  }
}

TEST_CASE("what has no meaning without a table is refused by name") {
  const auto vocabulary = test_support::golden_vocabulary();
  const auto refusal = [&](const torch::nn::EmbeddingOptions& options) {
    return message_of<std::invalid_argument>(
        [&] { KroneckerEmbedding(GoldenEncoder(), vocabulary, options); });
  };
  using Options = torch::nn::EmbeddingOptions;
  CHECK(refusal(Options(64, 8).max_norm(2)) == "max_norm 2 is not supported: tokens share their rows");
  CHECK(refusal(Options(64, 8).scale_grad_by_freq(true)) ==
        "scale_grad_by_freq is not supported: tokens share their rows");
  CHECK(refusal(Options(64, 8).sparse(true)) ==
        "sparse is not supported: the gradient of a projection is dense");
  CHECK(refusal(Options(64, 8)._weight(torch::ones({64, 8}))) ==
        "_weight is not supported: use set_projection");
  CHECK(refusal(Options(63, 8)) == "num_embeddings 63 is not the vocabulary's size 64");
  CHECK(refusal(Options(64, 0)) == "embedding_dim 0 is not positive");
  CHECK(refusal(Options(64, 8).padding_idx(64)) == "padding_idx 64 is outside the vocabulary of 64 tokens");
}

TEST_CASE("bad input is refused with its value, limit and place") {
  KroneckerEmbedding module = golden_module();
  for (const torch::ScalarType type : {torch::kFloat, torch::kDouble}) {
    module->to(type);
    CHECK(message_of<std::out_of_range>([&] {
            module(torch::tensor({0, 64}, torch::kLong));
          }) == "token id 64 at index 1 is outside the vocabulary of 64 tokens");
    CHECK(message_of<std::out_of_range>([&] { module(torch::tensor({std::int64_t{1} << 32})); }) ==
          "token id 4294967296 at index 0 is outside the vocabulary of 64 tokens");
    CHECK(message_of<std::invalid_argument>([&] { module(torch::zeros({2})); }) ==
          "ids are of type Float, not integers");
    CHECK(message_of<std::invalid_argument>([&] {
            module->logits(torch::zeros({2, 9}));
          }) == "hidden states whose last dimension is 9 do not fit d_model 8");
  }
  CHECK(message_of<std::invalid_argument>([&] {
          module->set_projection(LearnedProjection::normal(9, 2048, 1));
        }) == "a projection of 9 x 2048 does not fit the module's 8 x 2048");

  CHECK(message_of<std::invalid_argument>([&] {
          module->logits(torch::ones({2, 8}, torch::kLong));
        }) == "hidden states are of type Long on cpu; a floating type on the rows' cpu is expected");
  {
    KroneckerEmbedding diverged = golden_module();
    const torch::NoGradGuard no_gradient;
    diverged->projection->rows[2][1] = std::numeric_limits<float>::quiet_NaN();
    CHECK(message_of<std::invalid_argument>([&] { diverged->embedding(); }) ==
          "weight (1, 2) is nan: weights must be finite");
  }
  CHECK(message_of<std::invalid_argument>([&] {
          kronecker::torch_module::embed(torch::zeros({8, 2048}), module->tokens(), torch::arange(2),
                                         module->encoder());
        }) == "rows of [8, 2048] are not (2048, d_model)");
  const TokenTensors cut{module->tokens().bytes, module->tokens().lengths + 200};
  CHECK(message_of<std::invalid_argument>([&] {
          kronecker::torch_module::embed(module->projection->rows, cut, torch::arange(2), module->encoder());
        }).ends_with("over pos_dim 8"));
}

TEST_CASE("second derivatives of a float32 module are those of a double one") {
  const auto curvature = [](torch::ScalarType type) {
    KroneckerEmbedding module = golden_module();
    module->to(type);
    const Tensor rows = module->projection->rows, ids = golden_id_tensor();
    const Tensor loss = module(ids).pow(3).sum() + module->logits(module(ids)).pow(2).sum() / 100;
    const Tensor slope = torch::autograd::grad({loss}, {rows}, {}, true, /*create_graph=*/true)[0];
    return torch::autograd::grad({slope.pow(2).sum()}, {rows})[0];
  };
  const Tensor expected = curvature(torch::kDouble);
  CHECK(max_difference(curvature(torch::kFloat), expected) <= 2e-5 * expected.abs().max().item<double>());
}

TEST_CASE("ids that are changed before the backward pass are noticed") {
  KroneckerEmbedding module = golden_module();
  Tensor ids = golden_id_tensor().clone();
  const Tensor out = module(ids);
  ids.zero_();
  CHECK_THROWS_AS(out.sum().backward(), c10::Error);
}

TEST_CASE("an archive with the reference's weight is loaded, transposed") {
  struct Reference : torch::nn::Module {
    Reference()
        : projection(register_module("projection",
                                     torch::nn::Linear(torch::nn::LinearOptions(2048, 8).bias(false)))) {}
    torch::nn::Linear projection;
  };
  const auto reference = std::make_shared<Reference>();
  std::stringstream file;
  torch::save(reference, file);
  KroneckerEmbedding module = golden_module();
  torch::load(module, file);
  CHECK(torch::equal(module->projection->rows, reference->projection->weight.t()));
  CHECK(module->projection->rows.is_contiguous());
  CHECK(message_of<std::invalid_argument>([&] {
          module->projection->set_weight(torch::zeros({2048, 8}));
        }) == "a weight of [2048, 8] is not (8, 2048)");
}

TEST_CASE("torch's default type and inference mode change nothing") {
  const Tensor ids = golden_id_tensor(), expected = golden_module()(ids).detach();
  for (const torch::ScalarType type : {torch::kDouble, torch::kHalf}) {
    torch::set_default_dtype(c10::scalarTypeToTypeMeta(type));
    KroneckerEmbedding module = golden_module();
    module->to(torch::kFloat);
    module->set_projection(LearnedProjection::from_torch(golden_matrix("emb_d8_p8_weight.npy")));
    const Tensor out = module(ids);
    CHECK(same_bits(out.detach(), expected));
    const Tensor slope = gradient_of(out, torch::ones({2, 7, 8}, torch::kFloat), module->projection->rows);
    torch::set_default_dtype(c10::scalarTypeToTypeMeta(torch::kFloat));
    KroneckerEmbedding usual = golden_module();
    CHECK(same_bits(slope, gradient_of(usual(ids), torch::ones({2, 7, 8}), usual->projection->rows)));
  }
  const c10::InferenceMode inference;
  KroneckerEmbedding module = golden_module();
  CHECK(same_bits(module(ids), expected));
  module->projection->rows.mul_(2);
  CHECK(max_difference(module(ids), 2 * expected) <= 1e-5);
}

TEST_CASE("the number of threads changes no bit, and threads may share a module") {
  torch::manual_seed(4);
  const Tensor ids = torch::randint(64, {30, 11}, torch::kLong), states = torch::randn({200, 8});
  const auto run = [&](int threads) {
    at::set_num_threads(threads);
    KroneckerEmbedding module = golden_module();
    const Tensor out = module(ids), logits = module->logits(states);
    (out.pow(2).sum() + logits.pow(2).sum()).backward();
    return torch::cat({out.reshape(-1), logits.reshape(-1), module->projection->rows.grad().reshape(-1)})
        .detach();
  };
  const Tensor one = run(1);
  CHECK(same_bits(run(2), one));
  CHECK(same_bits(run(7), one));
  at::set_num_threads(1);

  KroneckerEmbedding module = golden_module();
  std::vector<Tensor> results(4);
  std::vector<std::thread> threads;
  for (Tensor& result : results)
    threads.emplace_back([&] {
      const torch::NoGradGuard no_gradient;
      result = module(ids);
    });
  for (std::thread& thread : threads) thread.join();
  for (const Tensor& result : results) CHECK(same_bits(result, golden_module()(ids).detach()));
}
