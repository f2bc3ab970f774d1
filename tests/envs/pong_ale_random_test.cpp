// Tests for envs/pong_ale_random.h: published and NumPy's numbers.
#include "envs/pong_ale_random.h"

#include <gtest/gtest.h>

#include <random>

namespace lockstep {
namespace pong_ale_random_test {

TEST(Mt19937Test, IsTheStandardLibrarys) {
  for (const std::uint32_t seed : {0u, 1u, 5489u, 123u, 0xfffffffbu}) {
    Mt19937 ours(seed);
    std::mt19937 theirs(seed);
    for (int i = 0; i < 3000; ++i) ASSERT_EQ(ours.next(), theirs()) << seed << ' ' << i;
  }
}

// np.random.SeedSequence(seed).generate_state(n)
TEST(SeedSequenceTest, EqualsNumpy) {
  EXPECT_EQ(SeedSequence(0u).generate<6>(),
            (std::array<std::uint32_t, 6>{2968811710u, 3677149159u, 745650761u, 2884920346u,
                                          2642120001u, 549907821u}));
  EXPECT_EQ(SeedSequence(1u).generate<6>(),
            (std::array<std::uint32_t, 6>{1835504127u, 1731038949u, 1320224556u, 2330041505u,
                                          321059914u, 1226144109u}));
  EXPECT_EQ(SeedSequence(42u).generate<6>(),
            (std::array<std::uint32_t, 6>{3444837047u, 2669555309u, 2046530742u, 3581440988u,
                                          1691623607u, 2099784219u}));
  EXPECT_EQ(SeedSequence(4294967295u).generate<6>(),
            (std::array<std::uint32_t, 6>{1992424968u, 705021410u, 3255730584u, 540206095u,
                                          2021606294u, 3981099117u}));
  EXPECT_EQ(SeedSequence(4294967296u).generate<6>(),
            (std::array<std::uint32_t, 6>{3964924996u, 1358922860u, 3894904162u, 2051610843u,
                                          908995353u, 1006608236u}));
  EXPECT_EQ(SeedSequence(123456789012345u).generate<6>(),
            (std::array<std::uint32_t, 6>{1069851990u, 2775685127u, 1837280090u, 3423861599u,
                                          1927363331u, 419240859u}));
  EXPECT_EQ(SeedSequence(18446744073709551615u).generate<6>(),
            (std::array<std::uint32_t, 6>{2458692877u, 2931597649u, 2251873402u, 295448644u,
                                          1508262567u, 465245526u}));
}

// np.random.Generator(np.random.PCG64(seed)).integers(low, high), ten in turn
TEST(Pcg64Test, EqualsNumpy) {
  {
    Pcg64 random(0u);
    for (const int n : {4, 3, 3, 2, 2, 2, 2, 2, 2, 4}) EXPECT_EQ(random.integers(2, 5), n);
  }
  {
    Pcg64 random(1u);
    for (const int n : {15, 16, 23, 29, 2, 5, 25, 29, 8, 10}) EXPECT_EQ(random.integers(1, 31), n);
  }
  {
    Pcg64 random(4294967295u);
    for (const int n : {2, 2, 4, 2, 4, 2, 2, 3, 4, 4}) EXPECT_EQ(random.integers(2, 5), n);
  }
  {
    Pcg64 random(1099511627776u);
    for (const int n :
         {922458, 360810, 379604, 628242, 793525, 995232, 315163, 157722, 615668, 690345})
      EXPECT_EQ(random.integers(0, 1000003), n);
  }
}

TEST(Pcg64Test, RejectsWhatWouldFavourSmallNumbers) {
  // np: of 3 * 2^30 values a quarter of all words is drawn again
  Pcg64 random(7u);
  for (const long n : {3043751912L, 2013573438L, 2203897839L, 1862810377L, 2498658503L, 2685377905L,
                       725443136L, 178879731L, 966903282L, 2813912609L})
    EXPECT_EQ(random.integers(0, 3221225472), n);
}

}  // namespace pong_ale_random_test
}  // namespace lockstep
