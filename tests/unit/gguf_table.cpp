#include "catch.hpp"
#include "gguf_bytes.hpp"
#include "scratch.hpp"

#include <kronecker/files/gguf_table.hpp>

#include <algorithm>
#include <sstream>

using kronecker::export_gguf;
using kronecker::FileError;
using kronecker::GgmlType;
using kronecker::GgufDirectory;
using kronecker::GgufTableOptions;
using kronecker::parse_gguf_directory;
using kronecker::TiedHead;
using namespace test_support;
using namespace test_support::gguf;

namespace {

constexpr std::uint64_t table_d_model = 64, table_vocab_size = 5;

const kronecker::KroneckerEmbedding<> table_embedding(
    kronecker::KroneckerEncoder<256, 8>(), kronecker::Vocabulary({"a", " the", "", "\n", "unseen word"}),
    kronecker::LearnedProjection::normal(table_d_model, 256 * 8, 1));

template <class Stored>
std::string table_as() {
  std::ostringstream table;
  kronecker::detail::write_table<Stored>(table, table_embedding);
  return table.str();
}

std::string table_as(GgmlType type) {
  if (type == GgmlType::f16) return table_as<Eigen::half>();
  if (type == GgmlType::bf16) return table_as<Eigen::bfloat16>();
  if (type == GgmlType::q8_0) return table_as<kronecker::detail::Q8_0>();
  return table_as<float>();
}

std::string some_bytes(std::size_t size, char first) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(first + static_cast<int>(i % 100));
  return bytes;
}

const std::vector<std::string> metadata = {
    entry("general.architecture", text, string("llama")), entry("general.file_type", u32, bytes(7u)),
    entry("tokenizer.ggml.tokens", array, array_of(text, 2, string("a") + string("b"))),
    entry("later.nested", array, array_of(array, 1, array_of(u8, 3, "abc")))};

const gguf::Tensor table_tensor{"token_embd.weight",
                                {table_d_model, table_vocab_size},
                                1,
                                some_bytes(2 * table_d_model * table_vocab_size, 1)};
const gguf::Tensor head_tensor{
    "output.weight", {table_d_model, table_vocab_size}, 8, some_bytes(34 * 2 * table_vocab_size, 2)};
const gguf::Tensor norm_tensor{"output_norm.weight", {table_d_model}, 0, some_bytes(4 * table_d_model, 3)};
const gguf::Tensor odd{"blk.0.of_a_later_ggml", {3, 7}, 999, some_bytes(32, 4)};
const gguf::Tensor short_one{"blk.0.bias", {3}, 0, some_bytes(12, 5)};

GgufDirectory directory_of(const std::string& content) { return parse_gguf_directory("file", content); }

/// What `export_gguf` makes of a file with that content.
std::string exported(const std::string& source, GgufTableOptions options = {}) {
  const ScratchFolder folder("gguf_table");
  write_content(folder / "model.gguf", source);
  export_gguf(folder / "new.gguf", table_embedding, folder / "model.gguf", options);
  CHECK(content_of(folder / "model.gguf") == source);
  return content_of(folder / "new.gguf");
}

template <class Error>
std::string gguf_table_message(const std::string& source, GgufTableOptions options = {}) {
  const ScratchFolder folder("gguf_table");
  const std::string path = (folder / "model.gguf").generic_string();
  write_content(path, source);
  write_content(folder / "new.gguf", "the old file");
  const std::string what =
      message_of<Error>([&] { export_gguf(folder / "new.gguf", table_embedding, path, options); });
  CHECK(content_of(folder / "new.gguf") == "the old file");
  return what.starts_with(path) ? what.substr(path.size() + 2) : what;
}

void check_tensor(const std::string& content, std::size_t i, const gguf::Tensor& expected) {
  const GgufDirectory directory = directory_of(content);
  REQUIRE(i < directory.tensors.size());
  const kronecker::GgufTensor& found = directory.tensors[i];
  CHECK(found.name == expected.name);
  CHECK(found.shape == expected.shape);
  CHECK(found.type == expected.type);
  CHECK(found.offset % directory.alignment == 0);
  CHECK(content.substr(static_cast<std::size_t>(directory.data_begin + found.offset), expected.data.size()) ==
        expected.data);
}

gguf::Tensor new_table(GgmlType type) {
  return {table_tensor.name, table_tensor.shape, static_cast<std::uint32_t>(type), table_as(type)};
}

}  // namespace

TEST_CASE("the table takes the place of the model's, and all else is kept byte for byte") {
  for (const GgmlType type : {GgmlType::f32, GgmlType::f16, GgmlType::q8_0, GgmlType::bf16}) {
    for (const std::size_t place : {0u, 2u, 4u}) {
      std::vector<gguf::Tensor> tensors = {norm_tensor, odd, short_one, head_tensor};
      tensors.insert(tensors.begin() + static_cast<std::ptrdiff_t>(place), table_tensor);
      const std::string source = model_file(metadata, tensors), result = exported(source, {type});
      tensors[place] = new_table(type);
      CHECK(result == model_file(metadata, tensors));

      const GgufDirectory directory = directory_of(result);
      CHECK(result.substr(0, directory.metadata_end) == source.substr(0, directory.metadata_end));
      CHECK(directory.tensors.size() == tensors.size());
      for (std::size_t i = 0; i < tensors.size(); ++i) check_tensor(result, i, tensors[i]);
      CHECK(*directory.metadata.find<std::string>("general.architecture") == "llama");
    }
  }
}

TEST_CASE("with the type it had, a model changes in nothing but the values of its table") {
  const std::string source = model_file(metadata, {norm_tensor, table_tensor, head_tensor});
  const std::string result = exported(source);
  const GgufDirectory directory = directory_of(source);
  const auto begin = static_cast<std::size_t>(directory.data_begin + directory.tensors[1].offset);
  const std::size_t size = table_tensor.data.size();
  REQUIRE(result.size() == source.size());
  CHECK(result.substr(0, begin) == source.substr(0, begin));
  CHECK(result.substr(begin, size) == table_as<Eigen::half>());
  CHECK(result.substr(begin + size) == source.substr(begin + size));
}

TEST_CASE("the exported table is the embedding's") {
  const std::string result = exported(model_file(metadata, {table_tensor, head_tensor}), {GgmlType::f32});
  const GgufDirectory directory = directory_of(result);
  const kronecker::RowMajorMatrix<float> expected = table_embedding.table();
  std::string numbers;
  for (Eigen::Index i = 0; i < expected.size(); ++i)
    numbers += bytes(kronecker::detail::bit_cast<std::uint32_t>(expected.data()[i]));
  CHECK(result.substr(static_cast<std::size_t>(directory.data_begin), numbers.size()) == numbers);
  for (std::size_t i = 0; i < table_d_model; ++i) CHECK(expected(2, static_cast<Eigen::Index>(i)) == 0);
}

TEST_CASE(
    "a model without a head of its own keeps the old table as one, or takes the new one, as it is told") {
  const std::string source = model_file(metadata, {table_tensor, short_one});
  CHECK(
      gguf_table_message<std::invalid_argument>(source) ==
      "there is no 'output.weight', so the output head, if there is one, is the table: choose the old one or "
      "the new one for it (TiedHead; kron export --head)");
  gguf::Tensor old_table = table_tensor;
  old_table.name = "output.weight";
  CHECK(exported(source, {GgmlType::q8_0, TiedHead::old_table}) ==
        model_file(metadata, {new_table(GgmlType::q8_0), short_one, old_table}));
  CHECK(exported(source, {GgmlType::f32, TiedHead::new_table}) ==
        model_file(metadata, {new_table(GgmlType::f32), short_one}));
  const std::string untied = model_file(metadata, {table_tensor, head_tensor});
  CHECK(exported(untied, {GgmlType::f32, TiedHead::old_table}) == exported(untied, {GgmlType::f32}));
}

// The architectures are those for which llama.cpp (ggml 0.25.3) makes no tensor "output.weight": a file with
// one is refused by it ("wrong number of tensors").
TEST_CASE("the old table is not kept as a head where llama.cpp takes none") {
  for (const char* architecture : {"gemma", "gemma2", "command-r", "cohere2", "openelm", "bitnet", "bert"}) {
    const std::string source =
        model_file({entry("general.architecture", text, string(architecture))}, {table_tensor, norm_tensor});
    CHECK(gguf_table_message<std::invalid_argument>(source, {GgmlType::f32, TiedHead::old_table}) ==
          "llama.cpp takes no 'output.weight' in a model of architecture '" + std::string(architecture) +
              "', so the old table cannot be kept for the output head");
    CHECK(directory_of(exported(source, {GgmlType::f32, TiedHead::new_table})).tensors.size() == 2);
  }
  for (const char* architecture : {"gemma3", "llama"})
    CHECK(directory_of(exported(model_file({entry("general.architecture", text, string(architecture))},
                                           {table_tensor}),
                                {std::nullopt, TiedHead::old_table}))
              .tensors.size() == 2);
}

TEST_CASE("a table that vectors replace is zeros of the smallest type") {
  const std::string source = model_file(metadata, {table_tensor, head_tensor});
  gguf::Tensor zeros = table_tensor;  // 18 bytes are 32 values of Q4_0
  zeros.type = 2;
  zeros.data = std::string(table_d_model / 32 * 18 * table_vocab_size, '\0');
  GgufTableOptions options;
  options.for_vectors = true;
  CHECK(exported(source, options) == model_file(metadata, {zeros, head_tensor}));
  CHECK(kronecker::detail::smallest_type(256) == GgmlType::iq1_s);
  CHECK(kronecker::detail::smallest_type(33) == GgmlType::f16);
  options.tied_head = TiedHead::new_table;
  CHECK(gguf_table_message<std::invalid_argument>(model_file(metadata, {table_tensor}), options) ==
        "the output head would be a table of zeros; keep the old one for it");
}

TEST_CASE("types that take ggml's quantizer are written by one, and refused without") {
  gguf::Tensor quantized = table_tensor;
  quantized.type = 2;
  quantized.data = some_bytes(table_d_model / 32 * 18 * table_vocab_size, 9);
  const std::string source = model_file(metadata, {quantized, head_tensor});
  CHECK(gguf_table_message<std::invalid_argument>(source) ==
        "a table of Q4_0 takes ggml's own quantizer (quantize_as_ggml); F32, F16, BF16 and Q8_0 do not");
  GgufTableOptions options;
  options.quantizer = [&](GgmlType type, std::span<const float> rows, std::size_t row_size) {
    CHECK(type == GgmlType::q4_0);
    CHECK(row_size == table_d_model);
    const auto expected = table_embedding.table();
    CHECK(std::equal(rows.begin(), rows.end(), expected.data(), expected.data() + expected.size()));
    return std::string(quantized.data.rbegin(), quantized.data.rend());
  };
  const std::string result = exported(source, options);
  std::reverse(quantized.data.begin(), quantized.data.end());
  CHECK(result == model_file(metadata, {quantized, head_tensor}));
  options.type = GgmlType::q6_k;
  CHECK(gguf_table_message<std::invalid_argument>(source, options) ==
        "d_model 64 is not a multiple of the 256 values in a block of Q6_K");

  const ScratchFolder folder("gguf_table");
  write_content(folder / "model.gguf", source);
  CHECK(kronecker::gguf_table_type(folder / "model.gguf") == GgmlType::q4_0);
}

TEST_CASE("tensors lie at multiples of the file's own alignment") {
  const std::vector<std::string> aligned = {entry("general.alignment", u32, bytes(256u))};
  const std::string result =
      exported(model_file(aligned, {short_one, table_tensor, head_tensor}, 256), {GgmlType::q8_0});
  CHECK(result == model_file(aligned, {short_one, new_table(GgmlType::q8_0), head_tensor}, 256));
  CHECK(directory_of(result).alignment == 256);
}

TEST_CASE("a model may be replaced by itself, and padding at its end may be missing") {
  const ScratchFolder folder("gguf_table");
  std::string source = model_file(metadata, {table_tensor, short_one});
  source.resize(source.size() - 20);  // the bias has 12 bytes
  write_content(folder / "model.gguf", source);
  for (int time = 0; time < 2; ++time) {
    export_gguf(folder / "model.gguf", table_embedding, folder / "model.gguf",
                {GgmlType::f32, TiedHead::new_table});
    CHECK(content_of(folder / "model.gguf") == model_file(metadata, {new_table(GgmlType::f32), short_one}));
  }
}

TEST_CASE("a model that the table does not fit is refused, and no file is changed") {
  const std::string name = "'token_embd.weight'";
  CHECK(gguf_table_message<FileError>(model_file(metadata, {head_tensor})) == "there is no tensor " + name);
  CHECK(gguf_table_message<FileError>("GGML") == "byte 0: expected the magic string GGUF");
  auto other = table_tensor;
  other.shape = {table_vocab_size, table_d_model};
  CHECK(gguf_table_message<std::invalid_argument>(model_file(metadata, {other, head_tensor})) ==
        name + " is (5, 64), not the embedding's (d_model 64, V 5)");
  other.shape = {table_d_model};
  CHECK(gguf_table_message<std::invalid_argument>(model_file(metadata, {other, head_tensor})) ==
        name + " is (64), not the embedding's (d_model 64, V 5)");
  CHECK(gguf_table_message<FileError>(
            model_file({entry("split.count", u16, bytes(std::uint16_t{3}))}, {table_tensor, head_tensor})) ==
        "one of the 3 parts of a model; merge them (llama-gguf-split --merge) first");

  const kronecker::KroneckerEmbedding narrow(kronecker::KroneckerEncoder<256, 8>(),
                                             kronecker::Vocabulary({"a"}),
                                             kronecker::LearnedProjection::normal(33, 256 * 8, 1));
  const ScratchFolder folder("gguf_table");
  write_content(folder / "narrow.gguf",
                model_file({}, {{table_tensor.name, {33, 1}, 0, some_bytes(132, 1)}, head_tensor}));
  CHECK(message_of<std::invalid_argument>([&] {
          export_gguf(folder / "new.gguf", narrow, folder / "narrow.gguf", {GgmlType::q8_0});
        }) == "d_model 33 is not a multiple of the 32 values in a block of Q8_0");
  CHECK(message_of<FileError>([&] {
          export_gguf(folder / "new.gguf", table_embedding, folder / "none.gguf");
        }).ends_with("none.gguf: cannot open the file: No such file or directory"));
}

TEST_CASE("a tensor without values may lie anywhere") {
  const std::vector<gguf::Tensor> empty = {
      {"odd", {0, 3}, 999, ""}, {"none", {3, 0}, 0, ""}, {"last", {0, 3}, 999, ""}};
  const std::string source = model_file(metadata, {empty[0], table_tensor, empty[1], head_tensor, empty[2]});
  CHECK(exported(source, {GgmlType::f32}) ==
        model_file(metadata, {empty[0], new_table(GgmlType::f32), empty[1], head_tensor, empty[2]}));
}

TEST_CASE("a model whose tensors are cut off or overlap is refused") {
  const std::string whole = model_file(metadata, {table_tensor, head_tensor});
  CHECK(gguf_table_message<FileError>(whole.substr(0, whole.size() - 30)) ==
        "tensor 'output.weight' takes 340 bytes and has 322 before the next one or the file's end");
  CHECK(gguf_table_message<FileError>(whole.substr(0, directory_of(whole).data_begin)) ==
        "tensor 'output.weight' takes 340 bytes and has 0 before the next one or the file's end");
  const gguf::Tensor no_data{"odd", {3}, 999, ""};
  CHECK(gguf_table_message<FileError>(model_file(metadata, {table_tensor, head_tensor, no_data})) ==
        "tensor 'odd' takes 1 byte and has 0 before the next one or the file's end");
  std::string same_place = whole;  // the head's offset becomes the table's
  const std::string offset_of_head = bytes(std::uint64_t{table_tensor.data.size()});
  same_place.replace(same_place.find(offset_of_head, same_place.find("output.weight")), 8,
                     bytes(std::uint64_t{0}));
  CHECK(gguf_table_message<FileError>(same_place) == "tensor 'output.weight' begins where another one does");
  const gguf::Tensor no_blocks{"odd", {33}, 8, some_bytes(34, 1)};
  CHECK(gguf_table_message<FileError>(model_file(metadata, {no_blocks, table_tensor, head_tensor})) ==
        "tensor 'odd' has rows of 33 values, not a multiple of the 32 in a block of its type");
  gguf::Tensor too_long = norm_tensor;
  too_long.shape = {table_d_model, 9};
  CHECK(gguf_table_message<FileError>(model_file(metadata, {too_long, table_tensor, head_tensor})) ==
        "tensor 'output_norm.weight' takes 2304 bytes and has 256 before the next one or the file's "
        "end");
  too_long.shape = {std::uint64_t{1} << 40, std::uint64_t{1} << 40};
  CHECK(gguf_table_message<FileError>(model_file(metadata, {too_long, table_tensor, head_tensor}))
            .starts_with("tensor 'output_norm.weight' takes 18446744073709551615 bytes"));
}

TEST_CASE("two tensors of one name are refused, as by gguf-py and llama.cpp") {
  CHECK(gguf_table_message<FileError>(
            model_file(metadata, {table_tensor, head_tensor, norm_tensor, head_tensor})) ==
        "two tensors are named 'output.weight'");
}

TEST_CASE("a damaged directory is refused with the place") {
  const auto refused = [](const std::string& content) {
    return message_of<FileError>([&] { parse_gguf_directory("file", content); });
  };
  const std::string whole = model_file(metadata, {table_tensor, head_tensor});
  const GgufDirectory directory = directory_of(whole);
  for (std::size_t size = 0; size < directory.data_begin; ++size) {
    const std::string cut = whole.substr(0, size);
    if (size < directory.data_begin - 31) CHECK_THROWS_AS(parse_gguf_directory("file", cut), FileError);
  }
  std::string many = model_file({}, {});
  many.replace(8, 8, bytes(~std::uint64_t{0}));
  CHECK(refused(many) == "file: byte 32: expected 4 bytes more, found 0");
  gguf::Tensor deep = table_tensor;
  deep.shape.resize(9);
  CHECK(refused(model_file({}, {deep})) == "file: byte 53: tensor 'token_embd.weight' has 9 dimensions");
  std::string shifted = model_file({}, {short_one});
  shifted[shifted.find("blk.0.bias") + 10 + 4 + 8 + 4] = 1;
  CHECK(refused(shifted).ends_with("tensor 'blk.0.bias' has the offset 1, not a multiple of 32"));
  for (const std::string& value : {bytes(0u), bytes(48u), bytes(1u << 17)})
    CHECK(refused(model_file({entry("general.alignment", u32, value)}, {})) ==
          "file: 'general.alignment' is not a power of two up to 65536");
  CHECK(refused(model_file({entry("general.alignment", text, string("32"))}, {})) ==
        "file: 'general.alignment' is not a power of two up to 65536");
}
