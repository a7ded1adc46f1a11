#include <cmath>

#include "kernels/cuda/rope.h"
#include "support/values.h"
#include "tests/cuda_emulation/device_array.h"

using namespace assize;
using namespace assize::kernels::cuda;
using assize::test::bf16s;
using assize::test::DeviceArray;
using assize::test::number;

namespace {

/// Rounding of the result; sine and cosine are exact to f32.
constexpr double kRelative = test::kBf16Rounding;
constexpr double kAbsolute = 2e-6;

struct Shape {
  int rows, heads, kv_heads, head_dim;
  bool bias;
};
const Shape kShapes[] = {
    {1, 1, 1, 16, false}, {3, 4, 2, 64, true}, {5, 7, 1, 128, false}, {2, 3, 3, 80, true}};

void check_close(const std::vector<Bf16>& got, const std::vector<double>& expected) {
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    if (!(std::abs(number(got[i]) - expected[i]) <= kRelative * std::abs(expected[i]) + kAbsolute))
      FAIL("element " << i << ": " << number(got[i]) << " for " << expected[i]);
}

/// qkv + bias with the first `rotated` heads of each row turned by angle(row, j), cosines and sines times
/// factor.
template <class Angle>
std::vector<double> reference(const std::vector<Bf16>& qkv, const std::vector<float>& bias,
                              const Shape& shape, float factor, const Angle& angle) {
  const int width = (shape.heads + 2 * shape.kv_heads) * shape.head_dim, half = shape.head_dim / 2;
  std::vector<double> out(qkv.size());
  for (std::size_t i = 0; i < qkv.size(); ++i)
    out[i] = shape.bias ? number(qkv[i]) + bias[i % static_cast<std::size_t>(width)] : number(qkv[i]);
  for (int r = 0; r < shape.rows; ++r)
    for (int h = 0; h < shape.heads + shape.kv_heads; ++h)
      for (int j = 0; j < half; ++j) {
        const auto u = static_cast<std::size_t>(r * width + h * shape.head_dim + j),
                   v = u + static_cast<std::size_t>(half);
        const double a = angle(r, j), c = std::cos(a) * factor, s = std::sin(a) * factor, x = out[u],
                     y = out[v];
        out[u] = x * c - y * s;
        out[v] = y * c + x * s;
      }
  return out;
}

}  // namespace

TEST_CASE(
    "rope_and_store: rotation by three positions, the bias, the entries of the cache and nothing else") {
  for (const Shape& shape : kShapes) {
    const auto [rows, heads, kv_heads, head_dim, has_bias] = shape;
    test::Values values(static_cast<std::uint64_t>(head_dim * 100 + rows));
    const int width = (heads + 2 * kv_heads) * head_dim, half = head_dim / 2, blocks = 4;
    const auto qkv = bf16s(values.uniform(static_cast<std::size_t>(rows * width), 2.0f));
    const auto bias = values.uniform(static_cast<std::size_t>(width));
    std::vector<float> inv_freq;
    std::vector<std::uint8_t> component;
    for (int j = 0; j < half; ++j) {
      inv_freq.push_back(static_cast<float>(std::pow(1e4, -double(j) / half)));
      component.push_back(static_cast<std::uint8_t>(j * 3 / half));
    }
    std::vector<std::int32_t> positions, slots;
    for (int i = 0; i < 3 * rows; ++i) positions.push_back(i == 0 ? 32767 : values.below(4000));
    // Entries at both ends of blocks; one row that is stored nowhere.
    const std::int32_t places[] = {2 * 64 + 63, 64, -1, 3 * 64 + 17, 63};
    for (int r = 0; r < rows; ++r) slots.push_back(places[r]);
    const auto expected = reference(qkv, bias, shape, 1.25f, [&, rows = rows](int r, int j) {
      const auto at = static_cast<std::size_t>(component[static_cast<std::size_t>(j)] * rows + r);
      return double(static_cast<float>(positions[at]) * inv_freq[static_cast<std::size_t>(j)]);
    });
    const std::int64_t block_stride = 2 * kv_heads * kBlockTokens * head_dim + 8;
    test::for_schedules(false, [&, rows = rows, heads = heads, kv_heads = kv_heads, head_dim = head_dim,
                                has_bias = has_bias] {
      DeviceArray<Bf16> x(qkv), cache(std::vector<Bf16>(static_cast<std::size_t>(blocks * block_stride), 7));
      DeviceArray<float> bias_array(bias), frequencies(inv_freq);
      DeviceArray<std::uint8_t> components(component);
      DeviceArray<std::int32_t> position_array(positions), slot_array(slots);
      const KvLayer layer{cache.data(), block_stride, kv_heads, head_dim};
      REQUIRE(rope_and_store(x.data(), has_bias ? bias_array.data() : nullptr, rows, heads,
                             {frequencies.data(), components.data(), 1.25f}, position_array.data(),
                             slot_array.data(), layer, nullptr) == 0);
      const auto turned = x.values();
      check_close(turned, expected);
      std::vector<Bf16> stored(cache.size(), 7);
      for (int r = 0; r < rows; ++r) {
        const std::int32_t slot = slots[static_cast<std::size_t>(r)];
        if (slot < 0) continue;
        for (int kv = 0; kv < 2; ++kv)
          for (int h = 0; h < kv_heads; ++h)
            for (int i = 0; i < head_dim; ++i)
              stored[static_cast<std::size_t>(slot / 64 * block_stride +
                                              ((kv * kv_heads + h) * 64 + slot % 64) * head_dim + i)] =
                  turned[static_cast<std::size_t>(r * width + (heads + kv * kv_heads + h) * head_dim + i)];
      }
      CHECK(cache.values() == stored);
    });
  }
}

TEST_CASE("rotate_qkv: angles of an encoder, with and without bias and rotation") {
  for (const Shape& shape : kShapes) {
    if (shape.heads != shape.kv_heads) continue;
    const auto [rows, heads, kv_heads, head_dim, has_bias] = shape;
    test::Values values(static_cast<std::uint64_t>(head_dim));
    const int width = 3 * heads * head_dim, half = head_dim / 2;
    const auto qkv = bf16s(values.uniform(static_cast<std::size_t>(rows * width), 2.0f));
    const auto bias = values.uniform(static_cast<std::size_t>(width));
    const auto angles = values.uniform(static_cast<std::size_t>(rows * half), 60.0f);
    for (const bool turns : {true, false}) {
      const auto expected = reference(qkv, bias, shape, 1.0f, [&](int r, int j) {
        return turns ? double(angles[static_cast<std::size_t>(r * half + j)]) : 0.0;
      });
      test::for_schedules(false, [&, rows = rows, heads = heads, head_dim = head_dim, has_bias = has_bias] {
        DeviceArray<Bf16> x(qkv);
        DeviceArray<float> bias_array(bias), angle_array(angles);
        REQUIRE(rotate_qkv(x.data(), has_bias ? bias_array.data() : nullptr, rows, heads, head_dim,
                           turns ? angle_array.data() : nullptr, nullptr) == 0);
        check_close(x.values(), expected);
      });
    }
  }
}

TEST_CASE("copy_kv_block: the first entries of every layer, head, K and V") {
  const int layers = 3, kv_heads = 2, head_dim = 64, blocks = 3;
  const std::int64_t block_stride = 2 * kv_heads * kBlockTokens * head_dim,
                     layer_stride = blocks * block_stride;
  test::Values values(4);
  const auto before = bf16s(values.uniform(static_cast<std::size_t>(layers * layer_stride)));
  for (const int tokens : {0, 1, 37, 64}) {
    auto expected = before;
    for (int l = 0; l < layers; ++l)
      for (int h = 0; h < 2 * kv_heads; ++h)
        for (int i = 0; i < tokens * head_dim; ++i) {
          const auto at = [&](int block) {
            return static_cast<std::size_t>(l * layer_stride + block * block_stride + h * 64 * head_dim + i);
          };
          expected[at(0)] = before[at(2)];
        }
    test::for_schedules(true, [&] {
      DeviceArray<Bf16> cache(before);
      REQUIRE(copy_kv_block({cache.data(), block_stride, kv_heads, head_dim}, layer_stride, layers, 2, 0,
                            tokens, nullptr) == 0);
      const bool same = cache.values() == expected;  // to print a hundred thousand values takes minutes
      CHECK(same);
    });
  }
}
