/// torch.ops.kronecker, for PyTorch from Python: torch.ops.load_library opens this as a shared object, and
/// kronecker_torch.py has the module that uses it.
///
///     torch.classes.kronecker.Tokens(bytes (V, pos_dim) uint8, lengths (V), char_dim, length_normalize,
///     z_normalize) torch.ops.kronecker.embed(weight, tokens, ids)
///     torch.ops.kronecker.embed_overridden(weight, tokens, ids, positions, [bytes as uint8 tensors])
///     torch.ops.kronecker.logits(weight, tokens, hidden)

#include <kronecker/integrations/torch_functions.hpp>

#include <torch/custom_class.h>
#include <torch/library.h>

#include <tuple>

namespace {

using kronecker::CodeOptions;
using kronecker::DynamicEncoder;
using kronecker::SharedArray;
using kronecker::TokenBytes;
using kronecker::torch_module::EmbeddingFunction;
using torch::Tensor;

/// Shares the bytes of a tensor.
SharedArray<std::uint8_t> shared_bytes(const Tensor& tensor) {
  const auto bytes = std::make_shared<const Tensor>(tensor.to(torch::kCPU, torch::kUInt8).contiguous());
  return {{bytes, bytes->data_ptr<std::uint8_t>()}, static_cast<std::size_t>(bytes->numel())};
}

/// The tokens of a vocabulary and how they are encoded.
struct Tokens : torch::CustomClassHolder {
  /// Bytes, lengths, and {char_dim, length_normalize, z_normalize}.
  using State = std::tuple<Tensor, Tensor, std::vector<std::int64_t>>;

  Tokens(const Tensor& bytes, const Tensor& lengths, std::int64_t char_dim, bool length_normalize,
         bool z_normalize)
      : state(bytes, lengths, std::vector<std::int64_t>{char_dim, length_normalize, z_normalize}),
        function(encoder_of(bytes, char_dim, {length_normalize, z_normalize}),
                 TokenBytes(shared_bytes(bytes), shared_bytes(checked(lengths)), static_cast<int>(char_dim),
                            static_cast<int>(bytes.size(1)), 0)) {}

  static DynamicEncoder encoder_of(const Tensor& bytes, std::int64_t char_dim, CodeOptions options) {
    if (bytes.dim() != 2)
      kronecker::detail::fail<std::invalid_argument>("the bytes of tokens have ", bytes.dim(),
                                                     " dimensions instead of 2: (vocab_size, pos_dim)");
    constexpr std::int64_t most = 1 << 16;  // which no size may be; the encoder's own check names its limits
    return {static_cast<int>(std::clamp(char_dim, -most, most)),
            static_cast<int>(std::min(bytes.size(1), most)), options};
  }
  static const Tensor& checked(const Tensor& lengths) {
    constexpr std::int64_t most = 255;
    if (lengths.numel() > 0 &&
        (lengths.min().item<std::int64_t>() < 0 || lengths.max().item<std::int64_t>() > most))
      kronecker::detail::fail<std::invalid_argument>(
          "lengths of tokens go from ", lengths.min().item<std::int64_t>(), " to ",
          lengths.max().item<std::int64_t>(), ", outside 0 to pos_dim");
    return lengths;
  }

  State state;
  EmbeddingFunction function;
};

Tensor embed(const Tensor& weight, const c10::intrusive_ptr<Tokens>& tokens, const Tensor& ids) {
  return tokens->function.embed(weight, ids);
}

Tensor embed_overridden(const Tensor& weight, const c10::intrusive_ptr<Tokens>& tokens, const Tensor& ids,
                        const std::vector<std::int64_t>& positions, const std::vector<Tensor>& strings) {
  if (positions.size() != strings.size())
    kronecker::detail::fail<std::invalid_argument>(positions.size(), " positions and ", strings.size(),
                                                   " byte strings do not fit each other");
  std::map<std::size_t, std::string> overrides;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const SharedArray<std::uint8_t> bytes = shared_bytes(strings[i]);
    // A negative position becomes one past the end, which is refused.
    overrides[static_cast<std::size_t>(positions[i])] = std::string(bytes.span().begin(), bytes.span().end());
  }
  return tokens->function.embed(weight, ids, overrides);
}

Tensor logits(const Tensor& weight, const c10::intrusive_ptr<Tokens>& tokens, const Tensor& hidden) {
  return tokens->function.logits(weight, hidden);
}

}  // namespace

TORCH_LIBRARY(kronecker, library) {
  library.class_<Tokens>("Tokens")
      .def(torch::init<const Tensor&, const Tensor&, std::int64_t, bool, bool>())
      .def_pickle([](const c10::intrusive_ptr<Tokens>& tokens) { return tokens->state; },
                  [](const Tokens::State& state) {
                    const auto& [bytes, lengths, numbers] = state;
                    return c10::make_intrusive<Tokens>(bytes, lengths, numbers.at(0), numbers.at(1) != 0,
                                                       numbers.at(2) != 0);
                  });
  library.def("embed", embed);
  library.def("embed_overridden", embed_overridden);
  library.def("logits", logits);
}
