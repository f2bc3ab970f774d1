// The random numbers of ALE and Gymnasium, for playing their environments with their seeds: nothing
// of our own draws from here. Host only.
//
// Sources: Matsumoto & Nishimura 1998 (MT19937); O'Neill 2014 (PCG64 XSL-RR), 2015 (seed_seq_fe, as
// NumPy's SeedSequence has it); Lemire 2019 (bounded integers).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace lockstep {

/// Mersenne Twister of 32-bit words, seeded by one word: ALE's sticky actions.
class Mt19937 {
 public:
  explicit Mt19937(std::uint32_t seed) {
    words_[0] = seed;
    for (std::uint32_t i = 1; i < kWords; ++i) {
      const std::uint32_t before = words_[i - 1];
      words_[i] = 1812433253u * (before ^ (before >> 30)) + i;
    }
  }
  std::uint32_t next() {
    if (used_ == kWords) renew();
    std::uint32_t y = words_[used_++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
  }

 private:
  static constexpr std::uint32_t kWords = 624, kShift = 397;
  void renew() {
    for (std::uint32_t i = 0; i < kWords; ++i) {
      const std::uint32_t y = (words_[i] & 0x80000000u) | (words_[(i + 1) % kWords] & 0x7fffffffu);
      words_[i] = words_[(i + kShift) % kWords] ^ (y >> 1) ^ ((y & 1) != 0 ? 0x9908b0dfu : 0u);
    }
    used_ = 0;
  }
  std::array<std::uint32_t, kWords> words_;
  std::uint32_t used_ = kWords;
};

/// NumPy's SeedSequence of one non-negative number below 2^64.
class SeedSequence {
 public:
  explicit SeedSequence(std::uint64_t entropy) {
    const std::uint32_t words[kPool] = {static_cast<std::uint32_t>(entropy),
                                        static_cast<std::uint32_t>(entropy >> 32), 0, 0};
    Hash hash{0x43b0d7e5u, 0x931e8875u};
    for (std::size_t i = 0; i < kPool; ++i) pool_[i] = hash(words[i]);
    for (std::size_t from = 0; from < kPool; ++from) {
      for (std::size_t to = 0; to < kPool; ++to) {
        if (from != to) pool_[to] = mix(pool_[to], hash(pool_[from]));
      }
    }
  }
  /// generate_state(words.size()).
  template <std::size_t n>
  std::array<std::uint32_t, n> generate() const {
    std::array<std::uint32_t, n> words;
    Hash hash{0x8b51f9ddu, 0x58f38dedu};
    for (std::size_t i = 0; i < n; ++i) words[i] = hash(pool_[i % kPool]);
    return words;
  }

 private:
  static constexpr std::size_t kPool = 4;
  struct Hash {
    std::uint32_t constant, factor;
    std::uint32_t operator()(std::uint32_t value) {
      value ^= constant;
      constant *= factor;
      value *= constant;
      return value ^ (value >> 16);
    }
  };
  static std::uint32_t mix(std::uint32_t x, std::uint32_t y) {
    const std::uint32_t value = 0xca01f9ddu * x - 0x4973f715u * y;
    return value ^ (value >> 16);
  }
  std::array<std::uint32_t, kPool> pool_;
};

/// NumPy's Generator(PCG64(seed)), as far as integers below 2^32 go.
class Pcg64 {
 public:
  explicit Pcg64(std::uint64_t seed) {
    const auto w = SeedSequence(seed).generate<8>();
    const auto wide = [&](std::size_t i) {  // 64-bit words are little-endian, 128-bit ones big
      const auto high = static_cast<Wide>(w[i + 1]) << 32 | w[i];
      return high << 64 | static_cast<Wide>(w[i + 3]) << 32 | w[i + 2];
    };
    increment_ = wide(4) << 1 | 1;
    state_ = increment_ + wide(0);
    advance();
  }
  /// integers(low, high): uniform on low <= n < high, 2 <= high - low < 2^32.
  std::int64_t integers(std::int64_t low, std::int64_t high) {
    const auto range = static_cast<std::uint32_t>(high - low);
    std::uint64_t product = std::uint64_t{next32()} * range;
    const std::uint32_t threshold = (0u - range) % range;
    while (static_cast<std::uint32_t>(product) < threshold) {
      product = std::uint64_t{next32()} * range;
    }
    return low + static_cast<std::int64_t>(product >> 32);
  }

 private:
  __extension__ typedef unsigned __int128 Wide;

  void advance() {
    constexpr Wide kFactor = static_cast<Wide>(0x2360ed051fc65da4u) << 64 | 0x4385df649fccf645u;
    state_ = state_ * kFactor + increment_;
  }
  std::uint64_t next64() {
    advance();
    const auto folded =
        static_cast<std::uint64_t>(state_ >> 64) ^ static_cast<std::uint64_t>(state_);
    const auto turn = static_cast<unsigned>(state_ >> 122);
    return folded >> turn | folded << ((64 - turn) % 64);
  }
  /// The lower half of a 64-bit number first, then the upper.
  std::uint32_t next32() {
    if (has_half_) {
      has_half_ = false;
      return half_;
    }
    const std::uint64_t word = next64();
    half_ = static_cast<std::uint32_t>(word >> 32);
    has_half_ = true;
    return static_cast<std::uint32_t>(word);
  }

  Wide state_, increment_;
  std::uint32_t half_ = 0;
  bool has_half_ = false;
};

}  // namespace lockstep
