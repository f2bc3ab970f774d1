// Prints what this build computes otherwise than the standard says, a word each; exits with 1 if it
// prints anything.
#include <cmath>
#include <cstdio>
#include <limits>

namespace {

[[gnu::noinline]] float sum_and_back(float a, float b) { return (a + b) - b; }
[[gnu::noinline]] float third(float a) { return a / 3.0f; }
[[gnu::noinline]] float product_and_sum(float a, float b, float c) { return a * b + c; }
[[gnu::noinline]] float product_and_quotient(float a, float b) { return a * b / b; }
[[gnu::noinline]] float half(float a) { return a * 0.5f; }
[[gnu::noinline]] float add_zero(float a) { return a + 0.0f; }
[[gnu::noinline]] bool equals_itself(float a) { return a == a; }
[[gnu::noinline]] double tenth() { return 0.1; }

}  // namespace

int main() {
  int wrong = 0;
  const auto expect = [&](bool holds, const char* name) {
    if (holds) return;
    std::printf("%s ", name);
    wrong = 1;
  };
  volatile float tiny = 0x1p-126f, nan = std::numeric_limits<float>::quiet_NaN();
  volatile float small = 0x1p-30f, one = 1.0f, odd = 1.0f + 0x1p-12f, large = 0x1p127f;
  volatile float minus_zero = -0.0f, ten = 10.0f;
  expect(sum_and_back(small, one) == 0.0f, "associative");
  expect(third(ten) == static_cast<float>(10.0 / 3.0), "reciprocal");
  expect(product_and_sum(odd, odd, -1.0f) == 0x1p-11f, "contracted");
  expect(std::isinf(product_and_quotient(large, ten)), "excess");
  expect(half(tiny) > 0.0f, "subnormal");
  expect(!std::signbit(add_zero(minus_zero)), "signed_zero");
  expect(!equals_itself(nan) && std::isnan(static_cast<float>(nan)), "nan");
  expect(tenth() != static_cast<double>(0.1f), "constant");
  std::printf("\n");
  return wrong;
}
